"""Labels are short and different."""

import pytest

from benchmarks.reports.labels import shorten


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["adam", "sgd"], ["adam", "sgd"]),
        (["keras_adam(learning_rate=0.00123)", "adam(learning_rate=0.1)"], ["keras_adam", "adam"]),
        (["adam at 0.001", "adam at 0.01"], ["adam(learning_rate='0.001')"] * 2),
        (["adam(beta_1=0.8)", "sgd(beta_1=0.8)"], ["adam", "sgd"]),
        (["adam(beta_1=0.8)", "adam"], ["adam(beta_1=0.8)", "adam"]),
        (["my.module:Adam", "adam"], ["Adam", "adam"]),
        (["my.module:Adam", "your.module:Adam"], ["my.module:Adam", "your.module:Adam"]),
        (["adam in results/a b", "adam in c"], ["adam in results/a b", "adam in c"]),
        (["adam(learning_rate=[0.001, 0.1])", "sgd"], ["adam", "sgd"]),
    ],
)
def test_labels(names, labels):
    found = shorten(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    if len(set(labels)) == len(labels):
        assert list(found.values()) == labels


def test_long_names_that_end_alike_stay_apart():
    """An earlier version cut them at their end, and two had the same entry in a legend."""
    names = [f"adam(a={'x' * 60!r}, b={end})" for end in (1, 2)]
    assert list(shorten(names).values()) == ["adam(b=1)", "adam(b=2)"]
