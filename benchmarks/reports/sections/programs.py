"""The section of compiled programs: a table for each problem."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.analysis.programs import is_in, read
from benchmarks.reports.page import Block, Heading, Table, Text


def section(folder: Path) -> Iterator[Block]:
    """Show the programs in `folder`, if it holds any: a table for each problem."""
    if not is_in(folder):
        return
    rows = read(folder)
    for problem, group in rows.groupby("problem", sort=False):
        yield Heading(str(problem))
        yield Table(
            (
                *("optimizer", "kernels", "of the update", "bytes a parameter", "copied MB"),
                *("collective MB", "arguments MB", "temporary MB", "peak MB"),
            ),
            [tuple(_cells(row)) for row in group.to_dict("records")],
        )
    yield Text(
        "Counted in the program that XLA makes for the target, and XLA's own account of the "
        "memory, on one device. Nothing was run: time does not follow from it alone."
    )


def _cells(row: dict[str, object]) -> Iterator[str]:
    yield str(row["optimizer"])
    for column, style, unit in (
        ("kernels", "{:,.0f}", 1),
        ("kernels_of_update", "{:,.0f}", 1),
        ("bytes_per_parameter", "{:.1f}", 1),
        ("copied_bytes", "{:,.2f}", 1e6),
        ("collective_bytes", "{:,.2f}", 1e6),
        ("argument_mb", "{:,.1f}", 1),
        ("temporary_mb", "{:,.2f}", 1),
        ("peak_mb", "{:,.1f}", 1),
    ):
        value = row[column]
        yield "" if pd.isna(value) else style.format(float(str(value)) / unit)
