import json

import pandas as pd
import pytest

from benchmarks.analysis import trials

ADAM = "adam(learning_rate=[0.0001, 1.0])"


def frame(validation, test=None, rates=None, optimizer=ADAM):
    n = len(validation)
    rates = rates or [0.01] * n
    return pd.DataFrame(
        {
            "dataset": "digits",
            "model": "mlp",
            "optimizer": optimizer,
            "trial": range(n),
            "seed": 0,
            "parameters": [json.dumps({"learning_rate": rate}) for rate in rates],
            "status": ["diverged" if v is None else "ok" for v in validation],
            "val_accuracy": pd.array(validation, "Float64"),
            "test_accuracy": pd.array(test or validation, "Float64"),
        }
    )


def test_the_validation_images_choose():
    assert trials.best(frame([0.5, 0.9, 0.7, None], [0.9, 0.6, 0.7, None])).name == 1
    assert trials.best(frame([None, None])) is None


def test_what_a_budget_buys():
    found = trials.best_of_k(frame([0.1, 0.2, 0.3, None]))
    assert list(found["k"]) == [1, 2, 3, 4]
    assert found.loc[0, ["low", "high"]].tolist() == [0, 0.3]
    assert found["median"].tolist()[2:] == [0.3, 0.3]
    assert found.loc[3, ["low", "high"]].tolist() == [0.3, 0.3]
    assert found["median"].is_monotonic_increasing


def test_it_is_the_test_accuracy_of_the_best_by_validation():
    found = trials.best_of_k(frame([0.8, 0.9], [0.7, 0.6]))
    assert found["median"].iloc[-1] == 0.6


@pytest.mark.parametrize(
    ("rate", "warned"),
    [(0.0001, True), (0.00015, True), (0.0002, False), (0.5, False), (0.7, True), (1.0, True)],
)
def test_a_best_rate_at_the_edge_is_warned_of(rate, warned):
    found = list(trials.warnings(frame([0.5, 0.9, 0.4, 0.3], rates=[0.01, rate, 0.00011, 0.99])))
    assert len(found) == warned
    if warned:
        assert "the best learning_rate" in found[0]
        assert "search a wider range" in found[0]


def test_a_choice_has_no_edge():
    found = frame([0.5], optimizer="sgd(nesterov=[True, False])")
    found["parameters"] = '{"nesterov": true}'
    assert list(trials.warnings(found)) == []


def test_a_search_without_a_result_is_warned_of():
    assert "no trial has a result" in next(trials.warnings(frame([None])))


@pytest.mark.parametrize(
    ("rates", "which"), [([0.01, 0.02, 0.03], "largest"), ([0.3, 0.2, 0.1], "smallest")]
)
def test_a_best_rate_at_the_end_of_what_was_drawn_is_warned_of(rates, which):
    (found,) = trials.warnings(frame([0.5, 0.6, 0.9], rates=rates))
    assert f"is the {which} of the 3 drawn" in found


def with_finals(validation):
    """Return three trials, the first best by luck, and two further seeds of the first two."""
    first = frame([0.95, 0.9, 0.5])
    further = pd.concat([frame([v, w]) for v, w in validation])
    return pd.concat([first, further.assign(seed=[1, 1, 2, 2])], ignore_index=True)


def test_finalists_are_judged_by_the_seeds_that_the_search_has_not_seen():
    found = with_finals([(0.7, 0.88), (0.72, 0.9)])
    ranked = trials.ranking(found)
    assert list(ranked.index) == [1, 0, 2]
    assert ranked["val_accuracy"].tolist() == pytest.approx([0.89, 0.71, 0.5])
    assert ranked["seeds"].tolist() == [2, 2, 0]
    winner = trials.winners(found)
    assert winner["trial"].tolist() == [1, 1]
    assert winner["seed"].tolist() == [1, 2]
    assert trials.best_of_k(found)["k"].tolist() == [1, 2, 3]


def test_a_finalist_that_diverges_counts_as_0():
    ranked = trials.ranking(with_finals([(0.7, None), (0.72, 0.99)]))
    assert list(ranked.index) == [0, 1, 2]
