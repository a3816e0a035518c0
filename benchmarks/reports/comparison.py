"""Optimizers within a report, or two reports: how far apart, and how sure that is.

Knows only the tables, and so starts at once.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from benchmarks.errors import InputError
from benchmarks.names import nearest
from benchmarks.reports import csv_file, schema
from benchmarks.reports.statistics import Effect, difference, ratio, spread

LARGEST_SPREAD = 0.1
"""Of the timings of equal runs; above it, something else had the machine too."""

PROBLEM = (
    "dataset",
    "model",
    "backend",
    "device",
    "jit_compile",
    "batch_size",
    "schedule",
    "epochs",
    "target_accuracy",
)
"""The columns in which two runs must agree to be compared."""

MACHINE = ("python", "tensorflow", "keras", "backend_version", "cpu", "cores", "gpu")
"""The columns in which two environments must agree to be compared."""

CODE = ("keras_adam", "commit")
"""Those in which they must agree too if the comparison is not one of two versions."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A column of runs.csv, and how it is compared."""

    column: str
    scale: Literal["ratio", "difference"]
    higher: str
    """What a run is called whose value is the higher one."""
    lower: str
    better: Literal["higher", "lower"]
    is_timing: bool = False


METRICS = (
    Metric("images_per_second", "ratio", "faster", "slower", "higher", is_timing=True),
    Metric("step_ms_p50", "ratio", "slower", "faster", "lower", is_timing=True),
    Metric("test_accuracy", "difference", "more accurate", "less accurate", "higher"),
    Metric("steps_to_target", "ratio", "more steps", "fewer steps", "lower"),
    Metric("seconds_to_target", "ratio", "slower", "faster", "lower", is_timing=True),
)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One metric of two series of runs, paired by their seeds."""

    problem: str
    """The runs' common columns, in words."""
    before: str
    after: str
    """What is compared: optimizers, or one optimizer in two folders."""
    metric: Metric
    median_before: float
    median_after: float
    effect: Effect
    lost: int
    """Seeds for which only `before` has a value: the run failed, or missed the target."""
    gained: int
    """Seeds for which only `after` has one."""

    @property
    def worsening(self) -> float:
        """How much worse `after` is, as a fraction; accuracy as a difference. Below 0: better."""
        value = self.effect.estimate - (self.metric.scale == "ratio")  # 1 is no change of a ratio
        return -value if self.metric.better == "higher" else value

    @property
    def verdict(self) -> str:
        """What the numbers say, in words."""
        n = self.effect.n
        if n < 2:
            words = f"too few seeds for a verdict, n = {n}"
        elif not self.effect.seen:
            words = f"no difference seen with n = {n}"
        else:
            is_higher = self.effect.estimate > (self.metric.scale == "ratio")
            words = f"{self.metric.higher if is_higher else self.metric.lower}, n = {n}"
        for count, what in ((self.lost, "lost"), (self.gained, "gained")):
            if count:
                words += f"; {count} {what}"
        return words

    def is_regression(self, largest: float) -> bool:
        """Whether `after` is worse by more than `largest`, or has lost runs.

        With two seeds and more, the difference must also be one that is seen.
        """
        sure = self.effect.seen or self.effect.n == 1
        return self.lost > 0 or (sure and self.worsening > largest)


def read(*folders: Path) -> list[pd.DataFrame]:
    """Read the runs of each report, and say in two more columns what each is a run of.

    `subject` is the optimizer, with the learning rate if it was run with
    several; `problem` is all else but the seed.
    """
    reports = [csv_file.read(folder / "runs.csv", schema.RUNS) for folder in folders]
    for folder, runs in zip(folders, reports, strict=True):
        if not (runs["status"] == "ok").any():
            raise InputError(f"{folder / 'runs.csv'}: has no run with status ok")
    runs = pd.concat(reports, keys=range(len(folders)))
    # A run that failed does not know what `auto` came to: it would have been as in the others.
    jit_compile = runs.groupby(["dataset", "model", "backend", "device"])["jit_compile"]
    runs["jit_compile"] = runs["jit_compile"].fillna(jit_compile.transform("first"))
    runs["problem"] = runs[list(PROBLEM)].apply(_words, axis=1)
    several = runs.groupby("optimizer")["learning_rate"].transform("nunique") > 1
    rate = runs["learning_rate"].map(" at {:g}".format)
    runs["subject"] = runs["optimizer"] + rate.where(several, "")
    for number, folder in enumerate(folders):
        if runs.loc[number].duplicated(["problem", "subject", "seed"]).any():
            raise InputError(
                f"{folder / 'runs.csv'}: holds runs that differ only in options without a column; "
                "give each command a folder of its own"
            )
    return [runs.loc[number] for number in range(len(folders))]


def within(
    folder: Path, baseline: str | None, optimizers: Sequence[str], any_environment: bool
) -> tuple[list[Comparison], list[str]]:
    """Compare the optimizers of one report with one of them.

    Args:
        folder: holds `runs.csv`.
        baseline: the optimizer that the others are compared with; None is
            `adam` if it is there, else the first.
        optimizers: the others; empty means all.
        any_environment: compare even if the runs were made on different
            machines or with different versions.

    Returns:
        The comparisons, and the warnings.

    Raises:
        InputError: there is nothing to compare, or the environments differ.
    """
    (runs,) = read(folder)
    if not any_environment:
        _check_environments(runs, (*MACHINE, *CODE))
    subjects = list(dict.fromkeys(runs["subject"]))
    if baseline is None:
        baseline = "adam" if "adam" in subjects else subjects[0]
    for name in (baseline, *optimizers):
        if name not in subjects:
            raise InputError(f"{folder}: has no runs of {name!r}; {nearest(name, subjects)}")
    others = optimizers or [subject for subject in subjects if subject != baseline]
    comparisons = [
        comparison
        for other in others
        for comparison in _comparisons(
            runs[runs["subject"] == baseline], runs[runs["subject"] == other], baseline, other
        )
    ]
    if not comparisons:
        raise InputError(
            f"{folder}: nothing to compare with {baseline!r}: no two ok runs of a seed"
        )
    return comparisons, list(_warnings(runs))


def between(
    before: Path, after: Path, optimizers: Sequence[str], any_environment: bool
) -> tuple[list[Comparison], list[str]]:
    """Compare each optimizer of one report with itself in another.

    The arguments and results are those of `within`. The commits may differ:
    that is what such a comparison is for.
    """
    first, second = read(before, after)
    if not any_environment:
        _check_environments(pd.concat([first, second]), MACHINE)
    subjects = [name for name in dict.fromkeys(first["subject"]) if name in set(second["subject"])]
    for name in optimizers:
        if name not in subjects:
            raise InputError(
                f"{before} and {after} have no runs of {name!r} in common; "
                f"{nearest(name, subjects)}"
            )
    comparisons = [
        comparison
        for name in optimizers or subjects
        for comparison in _comparisons(
            first[first["subject"] == name],
            second[second["subject"] == name],
            f"{name} in {before}",
            f"{name} in {after}",
        )
    ]
    if not comparisons:
        raise InputError(f"{before} and {after} have no two ok runs of the same kind and seed")
    return comparisons, [*_warnings(first, f" in {before}"), *_warnings(second, f" in {after}")]


def in_words(compared: Comparison) -> tuple[str, str, str, str]:
    """Return the effect, its interval, p and the verdict as text."""
    effect = compared.effect
    style = "x {:.3g}" if compared.metric.scale == "ratio" else "{:+.4f}"
    if effect.n == 0:
        return "", "", "", compared.verdict
    interval, p = "", ""
    if effect.n > 1:
        interval = f"{style.format(effect.low)} to {style.format(effect.high)}"
        p = f"{effect.p:.2g}"
    return style.format(effect.estimate), interval, p, compared.verdict


def _words(run: pd.Series) -> str:
    """Name the problem of a run."""
    words = (
        f"{run['dataset']}, {run['model']}, {run['epochs']} epochs of batches of "
        f"{run['batch_size']}, {run['backend']} on {run['device']}"
    )
    if pd.notna(run["jit_compile"]) and run["jit_compile"]:
        words += ", step compiled by XLA"
    if run["schedule"] != "constant":
        words += f", {run['schedule']} schedule"
    if pd.notna(run["target_accuracy"]):
        words += f", target {run['target_accuracy']:g}"
    return words


def _check_environments(runs: pd.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        values = runs[column].astype("string").fillna("none").unique()
        if len(values) > 1:
            raise InputError(
                f"the runs were made in unlike environments: {column} {' and '.join(values)}; "
                "they can be compared all the same",
                see=["any_environment"],
            )


def _comparisons(
    before: pd.DataFrame, after: pd.DataFrame, before_name: str, after_name: str
) -> Iterator[Comparison]:
    """Compare two series of runs, for each problem and metric that both have."""
    for problem in before["problem"].unique():
        if problem not in set(after["problem"]):
            continue
        old, new = (
            runs[(runs["problem"] == problem) & (runs["status"] == "ok")].set_index("seed")
            for runs in (before, after)
        )
        for metric in METRICS:
            a, b = old[metric.column].dropna(), new[metric.column].dropna()
            seeds = a.index.intersection(b.index)
            if a.empty and b.empty:
                continue
            measure = ratio if metric.scale == "ratio" else difference
            yield Comparison(
                problem,
                before_name,
                after_name,
                metric,
                median_before=float(a.median()) if len(a) else math.nan,
                median_after=float(b.median()) if len(b) else math.nan,
                effect=measure(a[seeds], b[seeds]),
                lost=len(a) - len(seeds),
                gained=len(b) - len(seeds),
            )


def _warnings(runs: pd.DataFrame, where: str = "") -> Iterator[str]:
    """Say which timings vary more than they should, and which runs have no result."""
    for (problem, subject), group in runs.groupby(["problem", "subject"], sort=False):
        for metric in METRICS:
            # The time to a target varies with the training too, and not only with the machine.
            if metric.is_timing and metric.column != "seconds_to_target":
                found = spread(group.loc[group["status"] == "ok", metric.column].dropna())
                if found > LARGEST_SPREAD:
                    yield (
                        f"{metric.column} of {subject}{where} varies by {found:.0%} over the runs "
                        f"({problem}): close other programs, and measure again with more seeds"
                    )
        statuses = group["status"][group["status"] != "ok"].value_counts()
        for status, count in statuses.items():
            yield f"{subject}{where}: {count} of {len(group)} runs have status {status} ({problem})"
