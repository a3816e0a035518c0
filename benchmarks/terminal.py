"""What the terminal shows: a progress bar while a sweep runs, a table at its end."""

import json
import sys
from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import events
from benchmarks.compare import Comparison, in_words
from benchmarks.config import RunConfig
from benchmarks.table import Row
from benchmarks.trials import best


class Display:
    """The progress of a sweep: a bar on a terminal, a plain line an epoch elsewhere.

    Used as a context manager around the sweep.
    """

    def __init__(self, console: Console, runs: int) -> None:
        self._console = console
        self._runs = runs
        self._number = 0
        self._config: RunConfig | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._all = self._bar.add_task("runs", total=runs)
        self._one = self._bar.add_task("", total=None)

    def __enter__(self) -> "Display":
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def start(self, config: RunConfig) -> None:
        """Show that a run begins."""
        self._config = config
        self._number += 1
        self._bar.update(self._all, description=str(config))
        self._bar.reset(self._one, description="starting", total=None)

    def leave(self, config: RunConfig) -> None:
        """Show that another sweep does a run, or has done it."""
        self._config = config
        self._number += 1
        self._print("left to another sweep in this folder")
        self._bar.advance(self._all)

    def progress(self, progress: events.Progress) -> None:
        """Show how far the run is."""
        assert self._config is not None
        self._bar.update(
            self._one,
            description=f"epoch {progress.epoch}/{self._config.epochs}, "
            f"loss {progress.loss:.4f}, accuracy {progress.accuracy:.4f}",
            completed=(progress.epoch - 1) * progress.steps + progress.step,
            total=self._config.epochs * progress.steps,
        )

    def epoch(self, row: Row) -> None:
        """Print the epoch, where there is no bar."""
        assert self._config is not None
        if not self._console.is_terminal and "train_loss" in row:
            self._print(
                f"epoch {row['epoch']}/{self._config.epochs}, loss {row['train_loss']:.4f}, "
                f"accuracy {row['train_accuracy']:.4f}, test accuracy {row['test_accuracy']:.4f}"
            )

    def finish(self, run: Row) -> None:
        """Print how the run ended, and count it."""
        if run["status"] == "ok":
            speed = run.get("images_per_second")
            self._print(
                f"ok, test accuracy {run['test_accuracy']:.4f}"
                + (f", {speed:,.0f} images/s" if speed else "")
            )
        else:
            self._print(f"{run['status']}: {run['error']}")
        self._bar.advance(self._all)

    def _print(self, text: str) -> None:
        line = f"[{self._number}/{self._runs}] {self._config}: {text}"
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


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


def comparison(comparisons: Sequence[Comparison]) -> Table:
    """One line for each metric: both medians, what lies between them, and the verdict."""
    table = Table("", "before", "after", "effect", "95 % interval", "p", "verdict", box=None)
    for compared in comparisons:
        table.add_row(
            compared.metric.column,
            f"{compared.median_before:.6g}",
            f"{compared.median_after:.6g}",
            *in_words(compared),
        )
    return table


def search(trials: pd.DataFrame) -> Table:
    """One line for each data set, model and optimizer: its best trial."""
    found = Table(
        *("data set", "model", "optimizer", "ok", "best trial", "val accuracy", "test accuracy"),
        box=box.SIMPLE_HEAD,
    )
    groups = trials.groupby(["dataset", "model", "optimizer"], sort=False)
    for (dataset, model, optimizer), group in groups:
        ok = f"{(group['status'] == 'ok').sum()}/{len(group)}"
        row = best(group)
        if row is None:
            found.add_row(dataset, model, escape(optimizer), ok)
            continue
        parameters = ", ".join(f"{k}={v!r}" for k, v in json.loads(row["parameters"]).items())
        accuracies = f"{row['val_accuracy']:.4f}", f"{row['test_accuracy']:.4f}"
        found.add_row(dataset, model, escape(optimizer), ok, escape(parameters), *accuracies)
    return found


def _median_and_range(values: pd.Series, style: str) -> str:
    values = values.dropna()
    if values.empty:
        return ""
    median, low, high = (style.format(v) for v in (values.median(), values.min(), values.max()))
    return f"{median} ({low} to {high})" if len(values) > 1 else median
