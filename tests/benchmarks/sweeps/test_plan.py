def test_the_order_of_the_optimizers_alternates_from_seed_to_seed(configs):
    assert [(c.seed, c.optimizer) for c in configs] == [
        *((0, "adam"), (0, "sgd")),
        *((1, "sgd"), (1, "adam")),
        *((2, "adam"), (2, "sgd")),
    ]
