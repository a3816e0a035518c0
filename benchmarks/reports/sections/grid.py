"""Updates of equal variables, many or few, large or small: a picture each mode and optimizer."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.reports import plots
from benchmarks.reports.page import Block, Heading, Plot, Table, Text
from benchmarks.store import csv_file, schema

FILE = "grid.csv"


def sections(folder: Path) -> Iterator[Block]:
    """Show the grid in `folder`, if it holds one."""
    if not (folder / FILE).exists():
        return
    rows = csv_file.read(folder / FILE, schema.GRID)
    tables = {
        (mode, ours, theirs): _ratios(group, ours, theirs)
        for mode, group in rows.groupby("mode", sort=False)
        for ours, theirs in pairs(rows)
    }
    tables = {key: table for key, table in tables.items() if table.notna().any(axis=None)}
    if not tables:
        return
    yield Heading("How many times as long the other takes")
    yield Text("The least times of each cell; above 1, the first is faster.")
    yield Table(
        ("optimizer", "against", "mode", "cells", "faster in", "least", "median", "most"),
        [_row(key, table) for key, table in tables.items()],
    )
    for (mode, ours, theirs), table in tables.items():
        yield Plot(
            f"grid-{mode}-{_slug(ours)}.svg",
            plots.ratios(table, "numbers in each variable", "variables"),
            f"{theirs} / {ours}, {mode}: blue where {ours} is faster, red where it is slower.",
        )


def _slug(name: str) -> str:
    """Return a name without what a file name had better not have."""
    return re.sub(r"\W+", "-", name).strip("-")


def pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return each optimizer of keras_adam in the grid, with Keras's of that name."""
    names = [str(name) for name in rows["optimizer"].unique()]
    counterparts = [(name, name.removeprefix("keras_")) for name in names]
    return [(ours, theirs) for ours, theirs in counterparts if ours != theirs and theirs in names]


def _ratios(rows: pd.DataFrame, ours: str, theirs: str) -> pd.DataFrame:
    """Return a row each count of variables, a column each size."""
    table = rows.pivot_table(
        index="variables", columns=["optimizer", "params_each"], values="update_ms_min"
    )
    if not {ours, theirs} <= set(table.columns.get_level_values("optimizer")):
        return pd.DataFrame()
    return (table[theirs] / table[ours]).astype(float)


def _row(key: tuple[str, str, str], table: pd.DataFrame) -> tuple[str, ...]:
    mode, ours, theirs = key
    values = table.to_numpy(float)
    values = values[np.isfinite(values)]
    spelled = (f"x {value:.3g}" for value in (values.min(), np.median(values), values.max()))
    return ours, theirs, mode, str(len(values)), str((values > 1).sum()), *spelled
