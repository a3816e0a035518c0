"""Optimizers within a report, or two reports: how far apart, and how sure that is."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.errors import InputError
from benchmarks.names import nearest
from benchmarks.reports import observations, schema
from benchmarks.reports.statistics import (
    CONFIDENCE,
    Effect,
    difference,
    holm,
    ratio,
    rounding,
    spread,
)

LARGEST_SPREAD = 0.1
"""Of the timings of equal runs; above it, something else had the machine too."""

CODE = ("keras_adam", "commit", "dirty")
"""The columns of the environment that may differ in a comparison of two versions."""

BLANK_IS_A_VALUE = ("gpu", "xla_flags")
"""The columns of the environment that a machine may not have; a blank elsewhere is unknown."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A column of a report, and how it is compared."""

    column: str
    scale: Literal["ratio", "difference"]
    higher: str
    """What a run is called whose value is the higher one."""
    lower: str
    better: Literal["higher", "lower"]
    margin: float
    """Differences up to that are called none, if larger ones are excluded."""
    step: str | None = None
    """Column that says how finely the values are rounded; None: as timings are."""
    is_timing: bool = False


METRICS = (
    Metric("images_per_second", "ratio", "faster", "slower", "higher", 0.05, is_timing=True),
    Metric("step_ms_p50", "ratio", "slower", "faster", "lower", 0.05, is_timing=True),
    Metric("update_ms_p50", "ratio", "slower", "faster", "lower", 0.05, is_timing=True),
    Metric(
        *("test_accuracy", "difference", "more accurate", "less accurate", "higher", 0.01),
        step="test_accuracy_step",
    ),
    Metric(
        *("steps_to_target", "ratio", "more steps", "fewer steps", "lower", 0.05),
        step="to_target_step",
    ),
    Metric(
        *("seconds_to_target", "ratio", "slower", "faster", "lower", 0.05),
        step="to_target_step",
        is_timing=True,
    ),
)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One metric of two series of runs, paired by their seeds or rounds."""

    problem: str
    """The runs' common options, in words."""
    baseline: str
    subject: str
    """What is compared: optimizers, or one optimizer in two folders."""
    metric: Metric
    mean_baseline: float
    mean_subject: float
    """Over the pairs; of a ratio, geometric. Their ratio or difference is the effect."""
    effect: Effect
    lost: Counter[str]
    """Pairs for which only `baseline` has a value, by what became of `subject`."""
    gained: int
    """Pairs for which only `subject` has a value."""
    alone: int
    """Seeds that only one of both was run with."""
    two_sessions: bool
    """Whether all runs of one began after all of the other: a machine drifts in between."""
    p_corrected: float = np.nan
    """By Holm's method, for all comparisons of the output."""

    @property
    def verdict(self) -> str:
        """One of "difference: ...", "no difference larger than x" and "inconclusive ..."."""
        words = self._verdict()
        for status, count in self.lost.items():
            words += f"; {count} lost ({status})"
        if self.gained:
            words += f"; {self.gained} gained"
        if self.alone:
            words += f"; {self.alone} without a partner"
        return words

    def _verdict(self) -> str:
        effect = self.effect
        if effect.n < 2:
            return "inconclusive: " + ("one pair" if effect.n else "no pair")
        if self.p_corrected < 1 - CONFIDENCE:
            is_higher = effect.estimate > effect.none
            words = f"difference: {self.metric.higher if is_higher else self.metric.lower}"
            if self.metric.is_timing and self.two_sessions:
                words += " (or a drift between the two sessions)"
            return words
        largest = max(effect.high - effect.none, effect.none - effect.low)
        if largest <= self.metric.margin:
            return f"no difference larger than {in_size(self.metric, largest)}"
        if effect.p < 1 - CONFIDENCE:
            return f"inconclusive: p {self.p_corrected:.2g} among all comparisons"
        return "inconclusive"


def within(
    folder: Path,
    baseline: str | None = None,
    optimizers: Sequence[str] = (),
    metrics: Sequence[str] = (),
    any_environment: bool = False,
) -> tuple[list[Comparison], list[str]]:
    """Compare the optimizers of one report with one of them.

    Args:
        folder: what a command wrote, `train`, `update` or another.
        baseline: the optimizer that the others are compared with; None is
            `adam`, with arguments too, if it has a result, else the first that has.
        optimizers: the others; empty means all.
        metrics: columns; empty means all.
        any_environment: compare even if the runs were made on different
            machines or with different versions.

    Returns:
        The comparisons, and the warnings.

    Raises:
        InputError: there is nothing to compare, or the environments differ.
    """
    found = observations.read(folder)
    return within_observations(found, str(folder), baseline, optimizers, metrics, any_environment)


def within_observations(
    found: pd.DataFrame,
    where: str,
    baseline: str | None = None,
    optimizers: Sequence[str] = (),
    metrics: Sequence[str] = (),
    any_environment: bool = False,
) -> tuple[list[Comparison], list[str]]:
    """Compare within observations that have been read already; see `within`."""
    unknown = [] if any_environment else _check_environments(found, _environment())
    subjects = list(dict.fromkeys(found["subject"]))
    if baseline is None:
        baseline = default_baseline(found)
    baseline = _find(baseline, subjects, where)
    others = [_find(name, subjects, where) for name in optimizers] or subjects
    series = _series(found)
    comparisons = [
        comparison
        for its_series in series.values()
        if baseline in its_series
        for other in others
        if other in its_series and other != baseline
        for comparison in _compare(its_series[baseline], its_series[other], metrics)
    ]
    if not comparisons:
        raise InputError(f"{where}: nothing to compare with {baseline!r}{_apart(found)}")
    return _corrected(comparisons), [*unknown, *_warnings(series)]


def between(
    before: Path,
    after: Path,
    optimizers: Sequence[str] = (),
    metrics: Sequence[str] = (),
    any_environment: bool = False,
) -> tuple[list[Comparison], list[str]]:
    """Compare each optimizer of one report with itself in another.

    The arguments and results are those of `within`. The commits may differ:
    that is what such a comparison is for.
    """
    both = pd.concat(
        [observations.read(before).assign(folder=0), observations.read(after).assign(folder=1)],
        ignore_index=True,
    )
    if {"learning_rate", "optimizer"} <= set(both):  # one rate in each folder may be two in both
        both = _with_rates(both)
    unknown = (
        []
        if any_environment
        else _check_environments(both, [c for c in _environment() if c not in CODE])
    )
    first, second = both[both["folder"] == 0], both[both["folder"] == 1]
    subjects = [name for name in dict.fromkeys(first["subject"]) if name in set(second["subject"])]
    where = f"{before} and {after}, both of them"
    names = [_find(name, subjects, where) for name in optimizers] or subjects
    old, new = _series(first, f" in {before}"), _series(second, f" in {after}")
    comparisons = [
        comparison
        for problem, its_series in old.items()
        for name in names
        if name in its_series and name in new.get(problem, {})
        for comparison in _compare(its_series[name], new[problem][name], metrics)
    ]
    if not comparisons:
        raise InputError(f"{before} and {after}: nothing to compare{_apart(both)}")
    warnings = [*unknown, *_left_out(old, new), *_warnings(old), *_warnings(new)]
    if any(c.two_sessions and c.metric.is_timing for c in comparisons):
        warnings.append(
            "the timings are of two sessions, one after the other: a machine drifts by some "
            "per cent in between, which no interval here knows; `python -m benchmarks versions` "
            "runs two versions in turns"
        )
    return _corrected(comparisons), warnings


def in_words(compared: Comparison) -> tuple[str, str, str, str]:
    """Return the effect, its interval, p and the verdict as text."""
    effect, metric = compared.effect, compared.metric
    if effect.n == 0:
        return "", "", "", compared.verdict
    estimate, interval = in_changes(metric, [effect.estimate]), ""
    if effect.n > 1:
        interval = in_changes(metric, [effect.low, effect.high])
    p = "" if np.isnan(effect.p) else f"{effect.p:.2g}" if effect.p >= 1e-99 else "< 1e-99"
    return estimate, interval, p, compared.verdict


def in_changes(metric: Metric, values: Sequence[float]) -> str:
    """Spell an effect or its interval: a ratio in per cent, if it is not far from 1."""
    if metric.scale == "difference":
        return " to ".join(f"{value:+.4f}" for value in values)
    if all(0.5 < value < 2 for value in values):
        return " to ".join(f"{100 * (value - 1):+.1f} %" for value in values)
    return " to ".join(f"x {value:.3g}" for value in values)


def in_size(metric: Metric, value: float) -> str:
    """Spell a size: a part of the value, or of an accuracy."""
    return f"{100 * value:.2g} %" if metric.scale == "ratio" else f"{value:.2g}"


def default_baseline(found: pd.DataFrame) -> str:
    """Return `adam`, with arguments or a rate too, if it has a result, else the first that has."""
    with_result = found[found["status"] == "ok"]
    subjects = list(dict.fromkeys(with_result["subject"]))
    for subject in sorted(subjects, key=lambda s: s != "adam"):
        if _base(subject) == "adam":
            return subject
    return subjects[0]


def _base(subject: str) -> str:
    return subject.split(" at ")[0].split("(")[0]


def _find(name: str, subjects: Sequence[str], where: str) -> str:
    """Return the subject of that name; without arguments, it is found if there is only one."""
    if name in subjects:
        return name
    same = [subject for subject in subjects if _base(subject) == name]
    if len(same) == 1:
        return same[0]
    if same:
        raise InputError(f"{where}: {name!r} is one of {', '.join(same)}; name one of them")
    raise InputError(f"{where}: has no runs of {name!r}; {nearest(name, subjects)}")


def _with_rates(both: pd.DataFrame) -> pd.DataFrame:
    rates = both.groupby("subject")["learning_rate"].transform("nunique") > 1
    names = both["subject"] + both["learning_rate"].map(" at {:g}".format).where(rates, "")
    return both.assign(subject=names)


def _environment() -> list[str]:
    return [column for column in schema.ENVIRONMENT if column != "started_at"]


def _check_environments(found: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Refuse environments that differ; return a warning for what is not known of all."""
    unknown = []
    for column in columns:
        if column not in found or (column == "backend_version" and found["backend"].nunique() > 1):
            continue  # the peers of a race have their own backends
        values = found[column].astype("string")
        known = values.fillna("none") if column in BLANK_IS_A_VALUE else values.dropna()
        if known.nunique() > 1:
            raise InputError(
                f"the runs were made in unlike environments: {column} "
                f"{' and '.join(known.unique())}; compare them all the same with --any-environment"
            )
        if len(known) and len(known) < len(values):
            unknown.append(column)
    if not unknown:
        return []
    return [f"of some runs it is not known whether they agree in {', '.join(unknown)}"]


def _apart(found: pd.DataFrame) -> str:
    """Say why there is nothing to compare: the options in which the runs differ."""
    found = found[found["status"] == "ok"]
    differing = observations.differing(found, ["learning_rate", *observations.PROBLEM])
    if not differing:
        return ": no two ok runs of the same kind and seed"
    words = (f"{column} ({', '.join(values[:5])})" for column, values in differing.items())
    return f": the runs differ in {'; '.join(words)}"


@dataclasses.dataclass(frozen=True)
class Series:
    """The runs of one subject on one problem, in the order of their pairs.

    Plain arrays: of thousands of series, frames would take a minute.
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
        """What it is called in an output."""
        return self.subject + self.where


def _series(found: pd.DataFrame, where: str = "") -> dict[str, dict[str, Series]]:
    """Sort the observations by problem, then by subject."""
    metrics = [metric.column for metric in METRICS]
    steps = dict.fromkeys(metric.step for metric in METRICS if metric.step)
    columns = {
        column: found[column].to_numpy(float, na_value=np.nan)
        for column in (*metrics, *steps)
        if column in found
    }
    pairs, statuses = found["pair"].to_numpy(int), found["status"].to_numpy(object)
    is_known = "started_at" in found and found["started_at"].notna().all()
    started = found["started_at"].to_numpy(object) if is_known else np.full(len(found), "")
    by_problem: dict[str, dict[str, Series]] = {}
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


def _compare(old: Series, new: Series, metrics: Sequence[str]) -> Iterator[Comparison]:
    """Compare two series of runs in each metric that they have."""
    pairs, at_old, at_new = np.intersect1d(
        old.pairs, new.pairs, assume_unique=True, return_indices=True
    )
    for metric in METRICS:
        if metric.column not in old.columns or (metrics and metric.column not in metrics):
            continue
        a, b = old.columns[metric.column][at_old], new.columns[metric.column][at_new]
        has_a, has_b = np.isfinite(a), np.isfinite(b)
        if not (has_a | has_b).any():
            continue
        both = has_a & has_b
        measure = ratio if metric.scale == "ratio" else difference
        floor = rounding(_step(metric, old, at_old[both]), _step(metric, new, at_new[both]))
        yield Comparison(
            *(old.problem, old.name, new.name, metric),
            mean_baseline=_mean(metric, a[both]),
            mean_subject=_mean(metric, b[both]),
            effect=measure(a[both], b[both], floor),
            lost=Counter(
                "target missed" if status == "ok" else str(status)
                for status in new.statuses[at_new[has_a & ~has_b]]
            ),
            gained=int((has_b & ~has_a).sum()),
            alone=len(old.pairs) + len(new.pairs) - 2 * len(pairs),
            two_sessions=_two_sessions(old, new),
        )


def _step(metric: Metric, series: Series, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    if metric.step in series.columns:
        return series.columns[metric.step][rows]
    return np.full(len(rows), observations.TIMING_STEP)


def _mean(metric: Metric, values: NDArray[np.float64]) -> float:
    if not len(values):
        return float("nan")
    return float(np.exp(np.log(values).mean()) if metric.scale == "ratio" else values.mean())


def _two_sessions(old: Series, new: Series) -> bool:
    """Whether one began when the other had ended; two folders of unknown times are two, too."""
    if not (all(old.started) and all(new.started)):
        return old.where != new.where
    return old.started[1] < new.started[0] or new.started[1] < old.started[0]


def _corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    p_values = holm([compared.effect.p for compared in comparisons])
    return [
        dataclasses.replace(compared, p_corrected=float(p))
        for compared, p in zip(comparisons, p_values, strict=True)
    ]


def _left_out(
    old: dict[str, dict[str, Series]], new: dict[str, dict[str, Series]]
) -> Iterator[str]:
    """Say what is only in one of two folders."""
    for these, those in ((old, new), (new, old)):
        for problem, subjects in these.items():
            only = [s.name for name, s in subjects.items() if name not in those.get(problem, {})]
            if only:
                yield f"{', '.join(only)}: nothing to compare with ({problem})"


def _warnings(series: dict[str, dict[str, Series]]) -> Iterator[str]:
    """Say which timings vary more than they should, and which runs have no result."""
    widest: dict[tuple[str, str], tuple[float, str]] = {}
    failed: dict[tuple[str, str], int] = Counter()
    runs: dict[str, int] = Counter()
    for problem, subjects in series.items():
        for one in subjects.values():
            runs[one.name] += len(one.pairs)
            for status, count in Counter(one.statuses[one.statuses != "ok"]).items():
                failed[one.name, status] += count
            for metric in METRICS:
                # The time to a target varies with the training too, and not only with the machine.
                if metric.is_timing and metric.column in one.columns and not metric.step:
                    values = one.columns[metric.column]
                    found = spread(values[np.isfinite(values)])
                    if found > widest.get((metric.column, one.name), (LARGEST_SPREAD, ""))[0]:
                        widest[metric.column, one.name] = found, problem
    for (column, name), (found, problem) in widest.items():
        yield (
            f"{column} of {name} varies by {found:.0%} over the runs ({problem}): close other "
            "programs, and measure again with more --seeds or --rounds"
        )
    for (name, status), count in failed.items():
        yield f"{name}: {count:,} of {runs[name]:,} runs have status {status}"
