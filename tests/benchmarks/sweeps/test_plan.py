from benchmarks.sweeps.plan import configurations


def test_the_order_of_the_optimizers_alternates_from_seed_to_seed():
    configs = configurations(
        ["digits"],
        ["mlp"],
        [("adam", 0.001), ("sgd", 0.1)],
        3,
        epochs=1,
        batch_size=32,
        device="cpu",
        backend="tensorflow",
        jit_compile="auto",
    )
    assert [(c.seed, c.optimizer) for c in configs] == [
        *((0, "adam"), (0, "sgd")),
        *((1, "sgd"), (1, "adam")),
        *((2, "adam"), (2, "sgd")),
    ]
