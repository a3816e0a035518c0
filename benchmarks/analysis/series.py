"""Observations sorted into one series of runs for each problem and subject."""

import dataclasses
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.analysis import observations
from benchmarks.analysis.metrics import METRICS, Metric
from benchmarks.analysis.statistics import spread
from benchmarks.errors import InputError

LARGEST_SPREAD = 0.1
"""The largest spread of the timings of equal runs without a warning. A larger spread means that
other programs probably used the machine."""

ByProblem = dict[str, dict[str, "Series"]]
"""A mapping from problem, then subject, to the runs."""


@dataclasses.dataclass(frozen=True)
class Series:
    """The runs of one subject on one problem, in the order of their pairs.

    It has plain arrays, because frames of thousands of series would take a minute.
    """

    problem: str
    subject: str
    where: str
    """The folder in words, if there are two."""
    pairs: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]
    """The metrics, and how finely they are rounded; NaN where there is no value."""
    statuses: NDArray[np.object_]
    started: tuple[str, str]
    """When the first and the last run began; empty if that is not known."""

    @property
    def name(self) -> str:
        """The name in an output."""
        return self.subject + self.where

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Which runs did not share their host with another run of their sweep."""
        runs_on_host = self.columns.get("runs_on_host", np.ones(len(self.pairs)))
        return ~(runs_on_host > 1)  # blank in older folders, which had one run at a time


def sort(found: pd.DataFrame, where: str = "") -> ByProblem:
    """Sort the observations by problem, then by subject."""
    metrics = [metric.column for metric in METRICS]
    steps = dict.fromkeys(metric.step for metric in METRICS if metric.step)
    columns = {
        column: found[column].to_numpy(float, na_value=np.nan)
        for column in (*metrics, *steps, "runs_on_host")
        if column in found
    }
    pairs, statuses = found["pair"].to_numpy(int), found["status"].to_numpy(object)
    is_known = "started_at" in found and found["started_at"].notna().all()
    started = found["started_at"].to_numpy(object) if is_known else np.full(len(found), "")
    by_problem: ByProblem = {}
    groups = found.groupby(["problem", "subject"], sort=False).indices
    for problem, subject in found[["problem", "subject"]].drop_duplicates().itertuples(index=False):
        rows = groups[problem, subject]
        rows = rows[np.argsort(pairs[rows])]
        if (np.diff(pairs[rows]) == 0).any():
            raise InputError(
                f"{subject}{where}: holds two runs of the same kind and seed ({problem}); "
                "give each command a folder of its own"
            )
        by_problem.setdefault(problem, {})[subject] = Series(
            *(problem, subject, where, pairs[rows]),
            {column: values[rows] for column, values in columns.items()},
            statuses[rows],
            (min(started[rows]), max(started[rows])),
        )
    return by_problem


def are_two_sessions(old: Series, new: Series) -> bool:
    """Whether all runs of one series began before all runs of the other.

    If the times are not known, the runs of two folders are two sessions.
    """
    if not (all(old.started) and all(new.started)):
        return old.where != new.where
    return old.started[1] < new.started[0] or new.started[1] < old.started[0]


def rounding_steps(metric: Metric, series: Series, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the rounding of the metric in these rows, for `statistics.rounding`."""
    if metric.step in series.columns:
        return series.columns[metric.step][rows]
    return np.full(len(rows), observations.TIMING_STEP)


def warnings(series: ByProblem) -> Iterator[str]:
    """Say which timings are left out or vary too much, and which runs have no result."""
    widest: dict[tuple[str, str], tuple[float, str]] = {}
    failed: dict[tuple[str, str], int] = Counter()
    shared: dict[str, int] = Counter()
    runs: dict[str, int] = Counter()
    for problem, subjects in series.items():
        for one in subjects.values():
            runs[one.name] += len(one.pairs)
            shared[one.name] += int((~one.alone).sum())
            for status, count in Counter(one.statuses[one.statuses != "ok"]).items():
                failed[one.name, status] += count
            for metric in METRICS:
                # The time to a target varies with the training, not only with the machine.
                if metric.is_timing and metric.column in one.columns and not metric.step:
                    values = one.columns[metric.column][one.alone]
                    found = spread(values[np.isfinite(values)])
                    if found > widest.get((metric.column, one.name), (LARGEST_SPREAD, ""))[0]:
                        widest[metric.column, one.name] = found, problem
    for name, count in shared.items():
        if count:
            yield (
                f"runs of {name} that shared their host with others (runs_on_host), so their "
                f"timings are not compared: {count:,} of {runs[name]:,}"
            )
    for (column, name), (found, problem) in widest.items():
        yield (
            f"{column} of {name} varies by {found:.0%} over the runs ({problem}); close other "
            "programs and measure again, with more --seeds or --rounds"
        )
    for (name, status), count in failed.items():
        yield f"runs of {name} with status {status}: {count:,} of {runs[name]:,}"
