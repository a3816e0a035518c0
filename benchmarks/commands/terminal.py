"""The tables that the commands print, as header and rows."""

import json
from collections.abc import Sequence

import pandas as pd
from rich.console import Console

from benchmarks import printing
from benchmarks.analysis import trials
from benchmarks.analysis.verdict import Comparison
from benchmarks.reports.labels import Labels
from benchmarks.reports.sections import comparing
from benchmarks.store.csv_file import Row

Cells = tuple[Sequence[str], list[Sequence[str]]]
"""The header and the rows of a table."""


def summary(runs: pd.DataFrame) -> Cells:
    """Return a row for each data set, model and optimizer: medians over the runs, with ranges."""
    rows: list[Sequence[str]] = []
    groups = runs.groupby(["dataset", "model", "optimizer", "learning_rate"], sort=False)
    for (dataset, model, optimizer, _), group in groups:
        ok = group[group["status"] == "ok"]
        rows.append(
            (
                *(dataset, model, optimizer, f"{len(ok)}/{len(group)}"),
                _median_and_range(ok["test_accuracy"], "{:.4f}"),
                _median_and_range(ok["images_per_second"], "{:,.0f}"),
            )
        )
    return ("data set", "model", "optimizer", "ok", "test accuracy", "images/s"), rows


def print_comparisons(console: Console, comparisons: Sequence[Comparison], labels: Labels) -> None:
    """Print the comparisons of a pair: a table if it fits, else a paragraph for each metric."""
    header, rows = comparing.table(comparisons, labels)
    if printing.fits(console, printing.grid(header, rows)):
        printing.table(console, header, rows)
        return
    for compared in comparisons:
        printing.say(console, f"{compared.metric.column}: {compared.verdict}", indent=2)
        printing.say(console, comparing.in_one_line(compared), indent=6)


def search(found: pd.DataFrame) -> Cells:
    """Return a row for each data set, model and optimizer: its best trial."""
    rows: list[Sequence[str]] = []
    for (dataset, model, optimizer), group in found.groupby(trials.SEARCH, sort=False):
        drawn = trials.drawn(group)
        ok = f"{(drawn['status'] == 'ok').sum()}/{len(drawn)}"
        row = trials.best(group)
        if row is None:
            rows.append((dataset, model, optimizer, ok, "", "", "", ""))
            continue
        parameters = ", ".join(f"{k}={v!r}" for k, v in json.loads(row["parameters"]).items())
        accuracies = f"{row['val_accuracy']:.4f}", f"{row['test_accuracy']:.4f}"
        rows.append(
            (dataset, model, optimizer, ok, parameters, *accuracies, str(row["seeds"] or ""))
        )
    header = ("data set", "model", "optimizer", "ok", "best trial")
    return (*header, "val accuracy", "test accuracy", "further seeds"), rows


def programs(rows: Sequence[Row]) -> Cells:
    """Return a row for each program, with its counts."""
    header = (
        *("target", "model", "optimizer", "kernels", "of the update", "bytes a parameter"),
        *("copied MB", "collective MB", "temporary MB", "peak MB"),
    )
    return header, [
        (
            row["target"],
            f"{row['model']} {row['scope']}",
            row["optimizer"],
            str(row["kernels"]),
            str(row["kernels_of_update"]),
            f"{row['bytes_per_parameter']:.1f}",
            f"{row['copied_bytes'] / 1e6:.2f}",
            f"{row['collective_bytes'] / 1e6:.2f}",
            f"{row['temporary_mb']:.2f}",
            f"{row['peak_mb']:.1f}",
        )
        for row in rows
    ]


def _median_and_range(values: pd.Series, style: str) -> str:
    values = values.dropna()
    if values.empty:
        return ""
    median, low, high = (style.format(v) for v in (values.median(), values.min(), values.max()))
    return f"{median} ({low} to {high})" if len(values) > 1 else median
