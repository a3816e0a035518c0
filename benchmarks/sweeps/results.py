"""Finds the runs that have a result in a folder."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmarks.errors import InputError
from benchmarks.run import RunConfig, parse_optimizer
from benchmarks.store import csv_file, schema


def read_runs(folder: Path) -> pd.DataFrame:
    """Read the runs in `folder` that have ended."""
    return csv_file.read_if_there(folder / "runs.csv", schema.RUNS)


def unfinished(configs: Iterable[RunConfig], folder: Path) -> list[RunConfig]:
    """Return the runs without a result in `folder`: not run yet, interrupted, or failed."""
    have = done(folder)
    return [config for config in configs if config.run_id not in have]


def done(folder: Path) -> set[str]:
    """Return the `run_id` of each run that has a result in `folder`."""
    runs = read_runs(folder)
    return set(runs["run_id"][runs["status"].isin(schema.RESULTS)])


def check_unchanged(configs: Iterable[RunConfig], folder: Path) -> None:
    """Refuse to continue in `folder` if data or code have changed since its runs.

    Raises:
        InputError: data, or the code of a model or an optimizer, have changed.
    """
    runs = read_runs(folder)
    names = {
        "data_digest": runs["dataset"],
        "model_digest": runs["model"],
        "optimizer_digest": runs["optimizer"].map(lambda text: parse_optimizer(text).name),
    }
    now = {
        (column, name, getattr(c, column)) for c in configs for column, name in c.named().items()
    }
    for column, name, digest in sorted((c, n, d) for c, n, d in now if d is not None):
        before = runs[column][names[column] == name].dropna().unique()
        if len(before) and digest not in before:
            raise InputError(
                f"{name} has changed since its runs were made: {column} was "
                f"{' and '.join(map(repr, before))} and is {digest!r}; name another folder, or "
                "keep both kinds in this one",
                output=folder,
                see=["accept_changes"],
            )
