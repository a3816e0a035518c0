import pytest

from benchmarks.commands import seeds
from benchmarks.sweeps import plan

FIXED = {
    "epochs": 1,
    "batch_size": 32,
    "device": "cpu",
    "backend": "tensorflow",
    "jit_compile": "auto",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", (0, 1, 2)),
        ("3-7", (3, 4, 5, 6, 7)),
        ("4-4", (4,)),
        ("0,4,9", (0, 4, 9)),
        ("0-2, 7", (0, 1, 2, 7)),
    ],
)
def test_how_many_or_which(text, expected):
    assert seeds.parse(text) == expected


@pytest.mark.parametrize("text", ["0", "", "-1", "7-3", "1,1", "1-3,2", "a", "1.5", "1,,2"])
def test_what_is_none_is_refused(text):
    with pytest.raises(ValueError, match="no seeds"):
        seeds.parse(text)


def test_the_optimizers_take_turns_whichever_the_seeds():
    optimizers = [("adam", 0.001), ("sgd", 0.1)]
    configs = plan.configurations(["digits"], ["mlp"], optimizers, (4, 6), **FIXED)
    found = [(config.seed, config.optimizer) for config in configs]
    assert found == [(4, "adam"), (4, "sgd"), (6, "sgd"), (6, "adam")]
    assert [config.seed for config in plan.again(configs[:1], (2, 9))] == [2, 9]
