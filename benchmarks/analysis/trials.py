"""The results of a search: the winner, whether its range was wide enough, and the best of k.

Everything is computed from the rows of trials.csv. The file has a row for each run of a trial: the
run of the search and, for a finalist, one run for each further seed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.errors import InputError
from benchmarks.run import parse_optimizer
from benchmarks.store import csv_file, schema
from benchmarks.store.report import Report

EDGE = 0.05
"""If the best value is this close to an end of its range (as a fraction), a warning says so."""

RESAMPLES = 2000

SEARCH = ["dataset", "model", "optimizer"]
"""The columns that name a search."""


def is_search(folder: Path) -> bool:
    """Whether the runs in `folder` are trials, not repetitions."""
    if (folder / "trials.csv").exists():
        return True
    command = folder / "command.txt"
    if not command.exists():  # a killed search of an older version, which wrote its trials last
        return False
    line = command.read_text(errors="replace").partition("\n")[0]
    return line.split()[:4] == ["python", "-m", "benchmarks", "tune"]


def read_trials(report: Report) -> pd.DataFrame:
    """Read the trials of a report, even of an interrupted search.

    Raises:
        InputError: there is no report.
    """
    runs, epochs = report.rows("runs.csv"), report.rows("epochs.csv")
    if not report.has("runs.csv"):
        raise InputError(f"{report.folder}: holds no runs.csv")
    if report.has("trials.csv"):
        planned = report.rows("trials.csv")
        csv_file.check_not_blank(planned, "trials.csv", ("run_id", *SEARCH, "trial", "parameters"))
        return with_results(planned, runs, epochs)
    return with_results(_from_runs(runs), runs, epochs)


def with_results(planned: pd.DataFrame, runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Add the results of their runs to the trials; trials without a run keep their blanks."""
    found = planned.set_index("run_id", drop=False)
    done = runs.drop_duplicates("run_id", keep="last").set_index("run_id")
    last = epochs.sort_values("epoch").groupby("run_id")["val_accuracy"].last()
    found["seed"] = done["seed"].reindex(found.index).fillna(found["seed"])
    found["status"] = done["status"].reindex(found.index).fillna(found["status"])
    is_ok = found["status"] == "ok"
    for column, values in (("val_accuracy", last), ("test_accuracy", done["test_accuracy"])):
        known = values.reindex(found.index).astype("Float64").fillna(found[column])
        found[column] = known.where(is_ok)
    return found.reset_index(drop=True)


def _from_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Make trials from the runs; the ranges and the order of the draws are not known."""
    specs = runs["optimizer"].map(parse_optimizer)
    rates = runs["learning_rate"]
    return pd.DataFrame(
        {
            "run_id": runs["run_id"],
            "dataset": runs["dataset"],
            "model": runs["model"],
            "optimizer": [spec.name for spec in specs],
            "trial": runs.assign(name=[spec.name for spec in specs])
            .groupby(["dataset", "model", "name"])
            .cumcount(),
            "seed": runs["seed"],
            "parameters": [
                json.dumps({"learning_rate": rate} | spec.arguments)
                for rate, spec in zip(rates, specs, strict=True)
            ],
            "status": runs["status"],
        },
        columns=list(schema.TRIALS),
    ).astype(dict(schema.TRIALS))


def is_range(values: object) -> bool:
    """Whether `values` are the two ends of a range, not a list to choose from."""
    return (
        isinstance(values, list)
        and len(values) == 2
        and all(type(value) in (int, float) for value in values)
    )


def is_logarithmic(low: float, high: float) -> bool:
    """Whether a range is so wide that the search uses its logarithm."""
    return low > 0 and high / low >= 10


def drawn(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the search itself, one for each trial, without further seeds."""
    return trials.drop_duplicates([*SEARCH, "trial"])


def finals(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the finalists' further seeds that have been run.

    The seed of the search is not included, because it has chosen the finalists and so favours them.
    """
    return trials[trials.duplicated([*SEARCH, "trial"]) & trials["status"].notna()]


def ranking(trials: pd.DataFrame) -> pd.DataFrame:
    """Rank the trials of one search, the best first; index `trial`.

    Finalists are ranked by their mean validation accuracy over the further
    seeds (one that failed or diverged counts as 0) and come before the others.

    Returns:
        The columns `parameters`, `val_accuracy` and `test_accuracy` (means over the same seeds),
        and `seeds`, the number of seeds. `seeds` is 0 for a trial that is not a finalist; its
        accuracies are those of the search. Trials without a result are left out.
    """
    first = drawn(trials).set_index("trial")
    further = finals(trials).groupby("trial")
    seeds = further.size().reindex(first.index, fill_value=0)
    found = pd.DataFrame({"parameters": first["parameters"], "seeds": seeds})
    for column in ("val_accuracy", "test_accuracy"):
        means = further[column].agg(lambda values: values.astype("Float64").fillna(0.0).mean())
        found[column] = means.astype("Float64").reindex(first.index).fillna(first[column])
    found = found.dropna(subset=["val_accuracy"])
    is_finalist = found["seeds"] > 0
    return (
        found.assign(f=is_finalist)
        .sort_values(["f", "val_accuracy"], ascending=False, kind="stable")
        .drop(columns="f")
    )


def best(trials: pd.DataFrame) -> pd.Series | None:
    """Return the first of the `ranking`, named by its trial; None if no trial has a result."""
    ranked = ranking(trials)
    return None if ranked.empty else ranked.iloc[0]


def winners(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each search's winner: its further seeds, or else its only run."""
    found = []
    for _, group in trials.groupby(SEARCH, sort=False):
        row = best(group)
        if row is not None:
            source = finals(group) if row["seeds"] else drawn(group)
            found.append(source[source["trial"] == row.name])
    return pd.concat(found) if found else trials.iloc[:0]


def warnings(trials: pd.DataFrame) -> Iterator[str]:
    """Name the searches whose best value lies at an end of its range, or is missing."""
    for (dataset, model, optimizer), group in trials.groupby(SEARCH, sort=False):
        where = f"on {dataset} with {model}"
        row = best(group)
        if row is None:
            yield f"{optimizer}: no trial has a result {where}"
            continue
        all_drawn = [json.loads(text) for text in drawn(group)["parameters"]]
        searched = parse_optimizer(optimizer).arguments
        for name, value in json.loads(row["parameters"]).items():
            ends: Any = searched.get(name)
            if is_range(ends) and _is_at_edge(ends, value):
                yield (
                    f"{optimizer}: the best {name}, {value:g}, lies at the edge of its range "
                    f"{where}; search a wider range"
                )
            elif type(value) in (int, float) and (ends is None or is_range(ends)):
                values = [parameters[name] for parameters in all_drawn]
                if len(set(values)) > 1 and value in (min(values), max(values)):
                    which = "smallest" if value == min(values) else "largest"
                    yield (
                        f"{optimizer}: the best {name}, {value:g}, is the {which} of the "
                        f"{len(values)} drawn {where}, so nothing beyond it was tried; draw more "
                        "trials or search a wider range"
                    )


def best_of_k(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the test accuracy that a search of k trials finds (the best by validation).

    Returns:
        A row for each k, with the `median` and the ends `low` and `high` of an interval. The
        interval contains nine of ten searches that draw k of these trials. If k is the number of
        all trials, there is only one such search. A trial that failed or diverged counts as 0.
    """
    ordered = drawn(trials).sort_values("trial")
    ordered = ordered[ordered["status"].notna()]
    validation = ordered["val_accuracy"].astype("Float64").fillna(-1.0).to_numpy(float)
    test = ordered["test_accuracy"].astype("Float64").fillna(0.0).to_numpy(float)
    n = len(ordered)
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(n), (RESAMPLES, 1)), axis=1)
    # The position of the best trial so far, after each trial of each order.
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
