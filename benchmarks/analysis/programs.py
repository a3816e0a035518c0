"""Compiled programs: a table of them, and their differences.

The numbers of a program are counted, not measured. So no statistical test is needed: two programs
are equal, or they differ by an exact number.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.analysis.selection import ALL, Selection
from benchmarks.errors import InputError
from benchmarks.names import nearest
from benchmarks.store import csv_file, schema

FILE = "programs.csv"

METRICS = ("kernels", "kernels_of_update", "bytes_per_parameter", "peak_mb", "collective_bytes")
"""The columns that are compared; in each, a lower number is better."""

PROBLEM = (
    "target",
    "model",
    "scope",
    "precision",
    "batch_size",
    "devices",
    "shard_optimizer_state",
)
"""The columns in which two programs must agree to be compared."""

COMPILER = ("backend_version", "keras")
"""The columns of the environment that must agree, because other compilers make other programs."""


@dataclasses.dataclass(frozen=True)
class Change:
    """One number of two programs."""

    problem: str
    baseline: str
    subject: str
    metric: str
    before: float
    after: float

    @property
    def ratio(self) -> float:
        """The subject's number divided by the baseline's."""
        if self.before == self.after:
            return 1.0
        return self.after / self.before if self.before else math.inf

    @property
    def verdict(self) -> str:
        """The meaning of the ratio in words."""
        return "equal" if self.before == self.after else "more" if self.ratio > 1 else "less"


def is_in(folder: Path) -> bool:
    """Say whether `folder` holds programs."""
    return (folder / FILE).exists()


def within(folder: Path, wanted: Selection = ALL) -> list[Change]:
    """Compare the programs of one folder with those of one optimizer.

    Args:
        folder: a folder that `program` wrote.
        wanted: the selection to compare, with metrics of `METRICS`.

    Raises:
        InputError: there is no such optimizer, or nothing to compare.
    """
    rows = read_programs(folder)
    names = list(dict.fromkeys(rows["optimizer"]))
    baseline = wanted.baseline
    if baseline is None:
        baseline = "adam" if "adam" in names else names[0]
    _check(names, [baseline, *wanted.optimizers], folder)
    subjects = [name for name in dict.fromkeys(wanted.optimizers or names) if name != baseline]
    pairs = [(baseline, subject) for subject in subjects]
    return _changes(rows, rows, pairs, ("", ""), wanted)


def between(before: Path, after: Path, wanted: Selection = ALL) -> list[Change]:
    """Compare each optimizer's programs in one folder with those in another; see `within`."""
    old, new = read_programs(before), read_programs(after)
    names = [name for name in dict.fromkeys(old["optimizer"]) if name in set(new["optimizer"])]
    _check(names, wanted.optimizers, after)
    pairs = [(name, name) for name in dict.fromkeys(wanted.optimizers or names)]
    where = f" in {before}", f" in {after}"
    return _changes(old, new, pairs, where, wanted)


def in_one_only(before: Path, after: Path) -> Iterator[str]:
    """Say which programs only one of two folders has; XLA may have refused the other one."""
    found = {folder: read_programs(folder)[["optimizer", "problem"]] for folder in (before, after)}
    rows = {folder: dict.fromkeys(one.itertuples(index=False)) for folder, one in found.items()}
    for folder, other in ((before, after), (after, before)):
        for row in rows[folder]:
            if row not in rows[other]:
                yield f"{row.optimizer} in {folder}: nothing to compare with ({row.problem})"


def read_programs(folder: Path) -> pd.DataFrame:
    """Read the programs in `folder`, and name the problem of each.

    Raises:
        InputError: there is no program, or two programs have the same options and optimizer.
    """
    rows = csv_file.read(folder / FILE, schema.PROGRAMS)
    if rows.empty:
        raise InputError(f"{folder / FILE}: holds no program")
    csv_file.check_not_blank(rows, FILE, ("optimizer", "target", "model", "scope"))
    rows["problem"] = [_words(row) for row in rows.to_dict("records")]
    twice = rows[rows.duplicated(["problem", "optimizer"])]
    if len(twice):
        raise InputError(f"{folder / FILE}: holds {twice.iloc[0]['optimizer']} twice")
    return rows


def _words(row: dict[str, object]) -> str:
    words = f"{row['model']} {row['scope']} on {row['target']}, {row['precision']}"
    if not pd.isna(row["batch_size"]):
        words += f", batches of {row['batch_size']}"
    words += f", {row['devices']} devices" if row["devices"] != 1 else ""
    return words + (", state split" if row["shard_optimizer_state"] else "")


def _check(names: Sequence[str], asked: Sequence[str], folder: Path) -> None:
    for name in asked:
        if name not in names:
            raise InputError(f"{folder}: has no program of {name!r}; {nearest(name, names)}")


def _changes(
    old: pd.DataFrame,
    new: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    where: tuple[str, str],
    wanted: Selection,
) -> list[Change]:
    both = pd.concat([old, new])
    for column in COMPILER:
        values = both[column].dropna().unique()
        if len(values) > 1 and not wanted.any_environment:
            raise InputError(
                f"the programs are from different compilers: {column} {' and '.join(values)}; "
                "--any-environment compares them nevertheless"
            )
    as_floats = dict.fromkeys(METRICS, float)
    before = old.astype(as_floats).set_index(["problem", "optimizer"])
    after = new.astype(as_floats).set_index(["problem", "optimizer"])
    changes = [
        Change(problem, baseline + where[0], subject + where[1], metric, *values)
        for problem in dict.fromkeys(old["problem"])
        for baseline, subject in pairs
        if (problem, baseline) in before.index and (problem, subject) in after.index
        for metric in wanted.metrics or METRICS
        if any(
            values := (
                float(before.loc[(problem, baseline), metric]),
                float(after.loc[(problem, subject), metric]),
            )
        )
        and not any(map(math.isnan, values))
    ]
    if not changes:
        raise InputError(
            "there is nothing to compare, because no two programs are of the same kind"
        )
    return changes
