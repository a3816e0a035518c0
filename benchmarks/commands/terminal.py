"""The tables that the commands print."""

import json
import sys
from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.analysis import trials
from benchmarks.store.csv_file import Row


def console() -> Console:
    """Return what to print on. A file or a pipe has no width: its lines are left whole."""
    return Console(width=None if sys.stdout.isatty() else 120)


def summary(runs: pd.DataFrame) -> Table:
    """One line for each data set, model and optimizer: medians over its runs, with ranges."""
    summary = Table(
        "data set", "model", "optimizer", "ok", "test accuracy", "images/s", box=box.SIMPLE_HEAD
    )
    groups = runs.groupby(["dataset", "model", "optimizer", "learning_rate"], sort=False)
    for (dataset, model, optimizer, _), group in groups:
        ok = group[group["status"] == "ok"]
        summary.add_row(
            dataset,
            model,
            escape(optimizer),
            f"{len(ok)}/{len(group)}",
            _median_and_range(ok["test_accuracy"], "{:.4f}"),
            _median_and_range(ok["images_per_second"], "{:,.0f}"),
        )
    return summary


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of these texts."""
    table = Table(*map(escape, header), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def search(found: pd.DataFrame) -> Table:
    """One line for each data set, model and optimizer: its best trial."""
    table = Table("data set", "model", "optimizer", "ok", box=box.SIMPLE_HEAD)
    table.add_column("best trial", no_wrap=True)
    for heading in ("val accuracy", "test accuracy", "further seeds"):
        table.add_column(heading)
    groups = found.groupby(trials.SEARCH, sort=False)
    for (dataset, model, optimizer), group in groups:
        drawn = trials.drawn(group)
        ok = f"{(drawn['status'] == 'ok').sum()}/{len(drawn)}"
        row = trials.best(group)
        if row is None:
            table.add_row(dataset, model, escape(optimizer), ok)
            continue
        parameters = ", ".join(f"{k}={v!r}" for k, v in json.loads(row["parameters"]).items())
        accuracies = f"{row['val_accuracy']:.4f}", f"{row['test_accuracy']:.4f}"
        names = dataset, model, escape(optimizer), ok, escape(parameters)
        table.add_row(*names, *accuracies, str(row["seeds"]))
    return table


def programs(rows: Sequence[Row]) -> Table:
    """One line for each program: what was counted in it."""
    table = Table(
        *("target", "model", "optimizer", "kernels", "of the update", "bytes a parameter"),
        *("copied MB", "collective MB", "temporary MB", "peak MB"),
        box=box.SIMPLE_HEAD,
    )
    for row in rows:
        table.add_row(
            row["target"],
            f"{row['model']} {row['scope']}",
            escape(row["optimizer"]),
            str(row["kernels"]),
            str(row["kernels_of_update"]),
            f"{row['bytes_per_parameter']:.1f}",
            f"{row['copied_bytes'] / 1e6:.2f}",
            f"{row['collective_bytes'] / 1e6:.2f}",
            f"{row['temporary_mb']:.2f}",
            f"{row['peak_mb']:.1f}",
        )
    return table


def _median_and_range(values: pd.Series, style: str) -> str:
    values = values.dropna()
    if values.empty:
        return ""
    median, low, high = (style.format(v) for v in (values.median(), values.min(), values.max()))
    return f"{median} ({low} to {high})" if len(values) > 1 else median
