"""The section of compiled programs, with a table for each problem."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.analysis.programs import METRICS, is_in, read_programs, within
from benchmarks.errors import InputError
from benchmarks.reports.labels import Labels, shorten
from benchmarks.reports.page import Block, Heading, Table, Text


def section(folder: Path) -> Iterator[Block]:
    """Show the programs in `folder`, if there are any, with a table for each problem."""
    if not is_in(folder):
        return
    rows = read_programs(folder)
    labels = shorten(rows["optimizer"])
    yield from _answer(folder, labels)
    for problem, group in rows.groupby("problem", sort=False):
        yield Heading(str(problem))
        yield Table(
            (
                *("optimizer", "kernels", "of the update", "bytes a parameter", "copied MB"),
                *("collective MB", "arguments MB", "temporary MB", "peak MB"),
            ),
            [(labels[row["optimizer"]], *_cells(row)) for row in group.to_dict("records")],
        )
    yield Text(
        "Kernels and bytes are counted in the program that XLA makes for the target. The memory "
        "is what XLA reports for one device."
    )


def _answer(folder: Path, labels: Labels) -> Iterator[Block]:
    """Say which optimizer needs the least memory, and the ratio of all counts to the baseline."""
    try:
        changes = within(folder)
    except InputError:
        return  # with one optimizer, the tables below are enough
    groups: dict[str, dict[str, list[float]]] = {}
    for change in changes:
        groups.setdefault(change.subject, {}).setdefault(change.metric, []).append(change.ratio)
    baseline = labels[changes[0].baseline]
    metrics = [m for m in METRICS if any(m in found for found in groups.values())]
    header = (
        "optimizer",
        "programs",
        *(metric.replace("_", " ").replace(" mb", " MB") for metric in metrics),
    )
    rows = [
        (
            *(labels[subject], str(max(map(len, found.values())))),
            *(f"x {statistics.median(found[m]):.3g}" if m in found else "" for m in metrics),
        )
        for subject, found in groups.items()
    ]
    yield Text(_memory({labels[name]: found for name, found in groups.items()}, baseline))
    yield Text("Nothing was run, so this page cannot say which is faster.")
    yield Text(f"Ratios to {baseline}, as medians over the programs:")
    yield Table(header, rows)


def _memory(groups: Mapping[str, Mapping[str, Sequence[float]]], baseline: str) -> str:
    """Say which program has the smallest peak memory."""
    medians = {
        name: statistics.median(m["peak_mb"]) for name, m in groups.items() if "peak_mb" in m
    }
    if not medians or min(medians.values()) >= 1:
        return f"No program needs less memory at its peak than that of {baseline}."
    least = min(medians, key=lambda name: medians[name])
    return (
        f"{least} needs the least memory at the peak: {medians[least]:.3g} times that of "
        f"{baseline} in the median program. Kernels and bytes are exact counts."
    )


def _cells(row: dict[str, object]) -> Iterator[str]:
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
