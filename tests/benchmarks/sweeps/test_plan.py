from benchmarks.sweeps import plan

FIXED = {
    "epochs": 1,
    "batch_size": 32,
    "device": "cpu",
    "backend": "tensorflow",
    "jit_compile": "auto",
}


def test_the_order_of_optimizers_alternates_from_seed_to_seed():
    """In the same order in every seed, a machine that gets slower favours the first."""
    rates = [("adam", 0.001), ("sgd", 0.01), ("rmsprop", 0.001)]
    configs = plan.configurations(["digits"], ["mlp"], rates, 3, **FIXED)
    assert [(config.seed, config.optimizer) for config in configs] == [
        *((0, "adam"), (0, "sgd"), (0, "rmsprop")),
        *((1, "rmsprop"), (1, "sgd"), (1, "adam")),
        *((2, "adam"), (2, "sgd"), (2, "rmsprop")),
    ]
    assert plan.again(configs[:3], 3) == configs
    assert {config.epochs for config in plan.again(configs[:3], 3, epochs=7)} == {7}
