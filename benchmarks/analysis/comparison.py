"""Compares the optimizers of one report, or of two: how large a difference is, and how certain."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.analysis import observations, series
from benchmarks.analysis.metrics import METRICS, NOT_MEASURED, Metric
from benchmarks.analysis.selection import ALL, Selection
from benchmarks.analysis.series import ByProblem, Series
from benchmarks.analysis.statistics import difference, ratio, rounding
from benchmarks.analysis.verdict import Comparison, corrected
from benchmarks.errors import InputError
from benchmarks.names import nearest
from benchmarks.store import schema
from benchmarks.store.report import Report

CODE = ("keras_adam", "commit", "dirty")
"""The columns of the environment that may differ in a comparison of two versions."""

MACHINE = ("host", "os", "cpu", "cores", "memory_gb", "gpu")
"""The columns of the environment that must agree only within a pair of runs. A cluster has many
machines, and one machine does both runs of a pair."""

BLANK_IS_A_VALUE = ("gpu", "xla_flags", "tf32", "deterministic")
"""The columns of the environment in which a blank is a value; in others it means unknown."""


def within(
    folder: Path,
    wanted: Selection = ALL,
) -> tuple[list[Comparison], list[str]]:
    """Compare the optimizers of one report with one of them, the baseline.

    Args:
        folder: the folder with the results of `train`, `update` or another command.
        wanted: the selection to compare.

    Returns:
        The comparisons, and the warnings.

    Raises:
        InputError: there is nothing to compare, or the environments differ.
    """
    found = observations.read_observations(Report(folder))
    return within_observations(found, str(folder), wanted)


def within_observations(
    found: pd.DataFrame,
    where: str,
    wanted: Selection = ALL,
) -> tuple[list[Comparison], list[str]]:
    """Compare within observations that are already read; see `within`."""
    unknown = [] if wanted.any_environment else _check_environments(found, _environment())
    subjects = list(dict.fromkeys(found["subject"]))
    baseline = default_baseline(found) if wanted.baseline is None else wanted.baseline
    baseline = _find(baseline, subjects, where)
    names = [_find(name, subjects, where) for name in wanted.optimizers]
    others = list(dict.fromkeys(names)) or subjects
    if others == [baseline] and wanted.optimizers:
        raise InputError("is the baseline itself; name another", optimizer=wanted.optimizers[0])
    sorted_series = series.sort(found)
    comparisons = [
        comparison
        for its_series in sorted_series.values()
        if baseline in its_series
        for other in dict.fromkeys([*others, *subjects])
        if other in its_series and other != baseline
        for comparison in _compare(its_series[baseline], its_series[other])
    ]
    comparisons = _chosen(corrected(comparisons), others, wanted.metrics)
    if not comparisons:
        raise InputError(f"{where}: nothing to compare with {baseline!r}{_apart(found)}")
    without = [
        f"{', '.join(its_series)}: not compared, without a run of {baseline!r} ({problem})"
        for problem, its_series in sorted_series.items()
        if baseline not in its_series
    ]
    unlike = observations.unlike(found)
    return comparisons, [*unknown, *without, *unlike, *series.warnings(sorted_series)]


def between(
    before: Path,
    after: Path,
    wanted: Selection = ALL,
) -> tuple[list[Comparison], list[str]]:
    """Compare each optimizer of one report with itself in another.

    The arguments and results are those of `within`. The commits may differ, because the comparison
    is about them.
    """
    both = pd.concat(
        [
            observations.read_observations(Report(before)).assign(folder=0),
            observations.read_observations(Report(after)).assign(folder=1),
        ],
        ignore_index=True,
    )
    both = observations.of_two(both)
    if {"learning_rate", "optimizer"} <= set(both):  # the two folders may differ in it
        both = _with_rates(both)
    unknown = (
        []
        if wanted.any_environment
        else _check_environments(both, [c for c in _environment() if c not in CODE])
    )
    first, second = both[both["folder"] == 0], both[both["folder"] == 1]
    subjects = [name for name in dict.fromkeys(first["subject"]) if name in set(second["subject"])]
    where = f"{before} and {after}, both of them"
    names = (
        list(dict.fromkeys(_find(name, subjects, where) for name in wanted.optimizers)) or subjects
    )
    old, new = series.sort(first, f" in {before}"), series.sort(second, f" in {after}")
    comparisons = [
        comparison
        for problem, its_series in old.items()
        for name in dict.fromkeys([*names, *subjects])
        if name in its_series and name in new.get(problem, {})
        for comparison in _compare(its_series[name], new[problem][name])
    ]
    comparisons = _chosen(
        corrected(comparisons), [f"{name} in {after}" for name in names], wanted.metrics
    )
    if not comparisons:
        raise InputError(f"{before} and {after}: nothing to compare{_apart(both)}")
    warnings = [
        *(*unknown, *observations.recoded(both), *_left_out(old, new), *observations.unlike(both)),
        *(*series.warnings(old), *series.warnings(new)),
    ]
    if any(c.two_sessions and c.metric.is_timing for c in comparisons):
        warnings.append(
            "the timings are from two sessions, one after the other. A machine may drift by some "
            "per cent in between, and the intervals do not cover this; `python -m benchmarks "
            "versions` runs two versions in turn"
        )
    return comparisons, warnings


def default_baseline(found: pd.DataFrame) -> str:
    """Return `adam`, else `adam` with arguments or a rate, else the first; each with a result."""
    with_result = found[found["status"] == "ok"]
    subjects = list(dict.fromkeys(with_result["subject"]))
    for subject in sorted(subjects, key=lambda s: s != "adam"):
        if _base(subject) == "adam":
            return subject
    return subjects[0]


def _base(subject: str) -> str:
    return subject.split(" of code ")[0].split(" at ")[0].split("(")[0]


def _find(name: str, subjects: Sequence[str], where: str) -> str:
    """Return the subject of this name; without arguments, the only subject of this optimizer."""
    if name in subjects:
        return name
    same = [subject for subject in subjects if _base(subject) == name]
    if len(same) == 1:
        return same[0]
    if same:
        raise InputError(f"{where}: {name!r} may be {', '.join(same)}; name one of them")
    raise InputError(f"{where}: has no runs of {name!r}; {nearest(name, subjects)}")


def _with_rates(both: pd.DataFrame) -> pd.DataFrame:
    """Add the rate to the name of an optimizer that has several rates in the two folders."""
    at_rate = both["learning_rate"].map(" at {:g}".format, na_action="ignore").fillna("")
    has_rate = both["subject"] == both["optimizer"] + at_rate
    names = both["subject"].mask(has_rate, both["optimizer"])
    several = both["learning_rate"].groupby(names).transform("nunique") > 1
    return both.assign(subject=names + at_rate.where(several, ""))


def _environment() -> list[str]:
    return [column for column in schema.ENVIRONMENT if column != "started_at"]


def _check_environments(found: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Refuse environments that differ; return a warning about columns that are partly unknown."""
    unknown = []
    for column in columns:
        if column not in found or (column == "backend_version" and "shapes" in found):
            continue  # in a race, each competitor may have a backend of its own
        values = found[column].astype("string")
        known = values.fillna("none") if column in BLANK_IS_A_VALUE else values.dropna()
        is_unlike = known.nunique() > 1
        if is_unlike and column in MACHINE:
            paired = [found.loc[known.index, key] for key in ("problem", "pair")]
            is_unlike = (known.groupby(paired).nunique() > 1).any()
        if is_unlike:
            raise InputError(
                f"the runs were made in different environments: {column} "
                f"{' and '.join(known.unique())}; --any-environment compares them nevertheless"
            )
        if len(known) and len(known) < len(values):
            unknown.append(column)
    if not unknown:
        return []
    return [f"it is unknown for some runs whether they agree in {', '.join(unknown)}"]


def _apart(found: pd.DataFrame) -> str:
    """Say why there is nothing to compare: name the options in which the runs differ."""
    found = found[found["status"] == "ok"]
    differing = observations.differing(found, ["learning_rate", *observations.PROBLEM])
    if not differing:
        if "runs_on_host" in found and (found["runs_on_host"] > 1).any():
            return ": timings of runs that shared their host are not compared (runs_on_host)"
        return ": no two ok runs of the same kind and seed"
    words = (f"{column} ({', '.join(values[:5])})" for column, values in differing.items())
    return f": the runs differ in {'; '.join(words)}"


def _chosen(
    comparisons: Sequence[Comparison], subjects: Sequence[str], metrics: Sequence[str]
) -> list[Comparison]:
    """Return the comparisons that the user wants.

    They are chosen after the correction, so that a verdict does not depend on the choice.
    """
    return [
        compared
        for compared in comparisons
        if compared.subject in subjects and (not metrics or compared.metric.column in metrics)
    ]


def _compare(old: Series, new: Series) -> Iterator[Comparison]:
    """Compare two series of runs in each metric that both have."""
    pairs, at_old, at_new = np.intersect1d(
        old.pairs, new.pairs, assume_unique=True, return_indices=True
    )
    alone = old.alone[at_old] & new.alone[at_new]
    for metric in METRICS:
        if metric.column not in old.columns:
            continue
        a, b = old.columns[metric.column][at_old], new.columns[metric.column][at_new]
        counts = alone if metric.is_timing else np.ones(len(pairs), bool)
        has_a, has_b = metric.is_value(a) & counts, metric.is_value(b) & counts
        if not (has_a | has_b).any():
            continue
        lost_a = np.where(counts & ~has_a, _without(metric, old.statuses[at_old]), "")
        lost_b = np.where(counts & ~has_b, _without(metric, new.statuses[at_new]), "")
        both = has_a & has_b
        measure = ratio if metric.scale == "ratio" else difference
        floor = rounding(
            series.rounding_steps(metric, old, at_old[both]),
            series.rounding_steps(metric, new, at_new[both]),
        )
        yield Comparison(
            *(old.problem, old.name, new.name, metric),
            mean_baseline=_mean(metric, a[both]),
            mean_subject=_mean(metric, b[both]),
            effect=measure(a[both], b[both], floor),
            lost=Counter(lost_b[has_a & ~has_b].tolist()),
            gained=int((has_b & _is_lost(lost_a)).sum()),
            alone=len(old.pairs) + len(new.pairs) - 2 * len(pairs),
            two_sessions=series.are_two_sessions(old, new),
            both_lost=int((_is_lost(lost_a) & _is_lost(lost_b)).sum()),
        )


def _without(metric: Metric, statuses: NDArray[np.object_]) -> NDArray[np.object_]:
    """Say why runs with these statuses have no value."""
    return np.where(statuses == "ok", metric.without_value, statuses)


def _is_lost(reasons: NDArray[np.object_]) -> NDArray[np.bool_]:
    return (reasons != "") & (reasons != NOT_MEASURED)


def _mean(metric: Metric, values: NDArray[np.float64]) -> float:
    if not len(values):
        return float("nan")
    return float(np.exp(np.log(values).mean()) if metric.scale == "ratio" else values.mean())


def _left_out(old: ByProblem, new: ByProblem) -> Iterator[str]:
    """Say which runs only one of two folders has."""
    for these, those in ((old, new), (new, old)):
        for problem, subjects in these.items():
            only = [s.name for name, s in subjects.items() if name not in those.get(problem, {})]
            if only:
                yield f"{', '.join(only)}: nothing to compare with ({problem})"
