"""Updates of equal variables, over their count and size: a plot for each mode and optimizer."""

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.reports import plots
from benchmarks.reports.page import Block, Plot, Table, Text
from benchmarks.store.report import Report

FILE = "grid.csv"
Key = tuple[str, str, str]
"""The mode, the optimizer, and its baseline."""


def sections(report: Report) -> Iterator[Block]:
    """Show the grid of a report, if it holds one."""
    if not report.has(FILE):
        return
    rows = report.rows(FILE)
    tables = {
        (mode, ours, theirs): _ratios(group, ours, theirs)
        for mode, group in rows.groupby("mode", sort=False)
        for ours, theirs in pairs(rows)
    }
    tables = {key: table for key, table in tables.items() if table.notna().any(axis=None)}
    if not tables:
        return
    yield from _answer(tables)
    header: tuple[str, ...] = ("optimizer", "against", "mode", "cells", "faster in")
    header += ("least", "median", "most")
    options = [_options(ours) for _, ours, _ in tables]
    rows = [_row(key, table) for key, table in tables.items()]
    if any(options):
        header = (*header[:2], "options", *header[2:])
        rows = [(*row[:2], text, *row[2:]) for row, text in zip(rows, options, strict=True)]
    yield Table(header, rows)
    for (mode, ours, theirs), table in tables.items():
        with_options = f" with {_options(ours)}" if _options(ours) else ""
        yield Plot(
            f"grid-{mode}-{_slug(ours)}.svg",
            plots.ratios(table, "numbers in each variable", "variables"),
            f"Time of {_class(theirs)} as a multiple of that of {_class(ours)}{with_options}, "
            f"{mode}. Above 1 (blue), {_class(ours)} is faster; below 1 (red), slower.",
        )


def _answer(tables: Mapping[Key, pd.DataFrame]) -> Iterator[Block]:
    """Say in how many cells each optimizer is faster, mode by mode, and that there is no test."""
    groups: dict[tuple[str, str, str], list[NDArray[np.float64]]] = {}
    for (mode, ours, theirs), table in tables.items():
        key = mode, _class(ours), _class(theirs)
        groups.setdefault(key, []).append(_values(table))
    for (mode, ours, theirs), parts in groups.items():
        values = np.concatenate(parts)
        yield Text(
            f"In mode {mode}, {ours} is faster than {theirs} in {(values > 1).sum():,} of "
            f"{len(values):,} cells. In the median cell, {theirs} takes "
            f"{np.median(values):.3g} times as long."
        )
    yield Text(
        "A cell is a number of variables and their size. A ratio is that of the least times of "
        "both. No test was made, so a ratio near 1 may be chance."
    )


def _class(name: str) -> str:
    return name.partition("(")[0]


def _options(name: str) -> str:
    """Return the arguments of an optimizer."""
    return name.partition("(")[2].removesuffix(")")


def _slug(name: str) -> str:
    """Return a name without characters that a file name should not have."""
    return re.sub(r"\W+", "-", name).strip("-")


def pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return each optimizer of keras_adam in the grid, with Keras's optimizer of this name."""
    names = [str(name) for name in rows["optimizer"].unique()]
    counterparts = [(name, name.removeprefix("keras_")) for name in names]
    return [(ours, theirs) for ours, theirs in counterparts if ours != theirs and theirs in names]


def _ratios(rows: pd.DataFrame, ours: str, theirs: str) -> pd.DataFrame:
    """Return the ratios, with a row for each number of variables and a column for each size."""
    table = rows.pivot_table(
        index="variables", columns=["optimizer", "params_each"], values="update_ms_min"
    )
    if not {ours, theirs} <= set(table.columns.get_level_values("optimizer")):
        return pd.DataFrame()
    return (table[theirs] / table[ours]).astype(float)


def _row(key: Key, table: pd.DataFrame) -> tuple[str, ...]:
    mode, ours, theirs = key
    values = _values(table)
    spelled = (f"x {value:.3g}" for value in (values.min(), np.median(values), values.max()))
    counts = str(len(values)), str((values > 1).sum())
    return _class(ours), _class(theirs), mode, *counts, *spelled


def _values(table: pd.DataFrame) -> NDArray[np.float64]:
    values = table.to_numpy(float)
    return values[np.isfinite(values)]
