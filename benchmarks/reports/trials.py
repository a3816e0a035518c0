"""What came of a search: the best trial, whether its range was wide enough, what a budget buys.

Knows only the rows of trials.csv.
"""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.run import parse_optimizer

EDGE = 0.05
"""A best value so close to an end of its range, in parts of it, may be better beyond."""

RESAMPLES = 2000

SEARCH = ("dataset", "model", "optimizer")
"""The columns that name a search."""


def is_range(values: object) -> bool:
    """Whether `values` are the two ends of a range, and not a choice."""
    return (
        isinstance(values, list)
        and len(values) == 2
        and all(type(value) in (int, float) for value in values)
    )


def is_logarithmic(low: float, high: float) -> bool:
    """Whether a range is so wide that its logarithm is searched."""
    return low > 0 and high / low >= 10


def best(trials: pd.DataFrame) -> pd.Series | None:
    """Return the row with the highest validation accuracy; None if no trial came to its end."""
    ok = trials.dropna(subset=["val_accuracy"])
    return None if ok.empty else ok.loc[ok["val_accuracy"].astype(float).idxmax()]


def warnings(trials: pd.DataFrame) -> Iterator[str]:
    """Say of which searches the best lies at an end of the range, or is missing."""
    for (dataset, model, optimizer), group in trials.groupby([*SEARCH], sort=False):
        where = f"on {dataset} with {model}"
        row = best(group)
        if row is None:
            yield f"{optimizer}: no trial came to its end {where}"
            continue
        searched = parse_optimizer(optimizer).arguments
        for name, value in json.loads(row["parameters"]).items():
            if is_range(searched[name]) and _is_at_edge(searched[name], value):
                yield (
                    f"{optimizer}: the best {name}, {value:g}, lies at the edge of its range "
                    f"{where}: search a wider one"
                )


def best_of_k(trials: pd.DataFrame) -> pd.DataFrame:
    """Return what a search of k trials gives: the test accuracy of the best by validation.

    Returns:
        A row each k, with the `median` and the ends `low` and `high` of the
        interval that holds nine in ten of the searches that draw k of these
        trials. At all of them, there is only one. A trial that failed or
        diverged counts as 0.
    """
    ordered = trials.sort_values("trial")
    validation = ordered["val_accuracy"].astype("Float64").fillna(-1.0).to_numpy(float)
    test = ordered["test_accuracy"].astype("Float64").fillna(0.0).to_numpy(float)
    n = len(ordered)
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(n), (RESAMPLES, 1)), axis=1)
    # The place of the best so far, after each trial of each order.
    so_far = np.maximum.accumulate(validation[orders], axis=1)
    is_new = np.diff(so_far, axis=1, prepend=-2.0) > 0
    place = np.maximum.accumulate(np.where(is_new, np.arange(n), 0), axis=1)
    chosen = test[np.take_along_axis(orders, place, axis=1)]
    low, median, high = np.quantile(chosen, [0.05, 0.5, 0.95], axis=0)
    return pd.DataFrame({"k": np.arange(1, n + 1), "median": median, "low": low, "high": high})


def _is_at_edge(ends: list[float], value: float) -> bool:
    low, high = ends
    if is_logarithmic(low, high):
        low, high, value = np.log([low, high, value])
    return not EDGE <= (value - low) / (high - low) <= 1 - EDGE
