"""A folder of results as a page that people read.

`blocks` says what is on the page, in order; a file each says what is in its
sections, `page` how it is written, `plots` how it is drawn.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.analysis import observations, programs, trials
from benchmarks.analysis.comparison import within_observations
from benchmarks.analysis.verdict import Comparison
from benchmarks.errors import InputError
from benchmarks.reports.page import Block, Heading, Items, Plot, Table, Text, to_html, to_markdown
from benchmarks.reports.sections import comparing, racing, searching, training
from benchmarks.reports.sections import programs as compiled
from benchmarks.store import csv_file, schema

MOST_LINES = 50
"""Of failures and warnings: more are counted."""


def write(folder: Path) -> list[Path]:
    """Write report.html, report.md and the plots of the results in `folder`; return the files.

    Raises:
        InputError: there is no report there, or a file cannot be written.
    """
    page = list(blocks(folder))
    files = {
        "report.html": to_html(folder.resolve().name, page).encode(),
        "report.md": to_markdown(page).encode(),
        **{block.file: block.png for block in page if isinstance(block, Plot)},
    }
    try:
        for name, content in files.items():
            new = folder / f".{name}.new"
            new.write_bytes(content)
            new.replace(folder / name)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}") from error
    return [folder / name for name in files]


def blocks(folder: Path) -> Iterator[Block]:
    """Yield what is on the page.

    Raises:
        InputError: there is no report in `folder`.
    """
    if programs.is_in(folder):
        yield Heading(folder.resolve().name, level=1)
        yield from _what_and_where(folder, programs.read(folder))
        yield from compiled.section(folder)
        return
    runs = csv_file.read_if_there(folder / "runs.csv", schema.RUNS)
    comparisons: list[Comparison] = []
    warnings: list[str] = []
    refused, found = "", runs
    try:
        found = observations.read(folder)
        comparisons, warnings = within_observations(found, str(folder))
    except InputError as error:
        if found.empty:
            raise
        refused = str(error)
    yield Heading(folder.resolve().name, level=1)
    yield from _what_and_where(folder, found)
    yield from comparing.overview(comparisons)
    if trials.is_search(folder):
        yield from searching.section(trials.read(folder))
        yield from comparing.of_problems(comparisons)
    elif len(runs):
        epochs = csv_file.read_if_there(folder / "epochs.csv", schema.EPOCHS)
        yield from training.sections(observations.from_runs(runs), epochs, comparisons)
    yield from racing.sections(folder, comparisons)
    yield from comparing.method(comparisons, refused)
    if warnings:
        yield Heading("Warnings")
        yield Items([*warnings[:MOST_LINES], *_more(warnings)])
    yield from _failures(runs)


def _what_and_where(folder: Path, found: pd.DataFrame) -> Iterator[Block]:
    commands = folder / "command.txt"
    if commands.exists():
        lines = commands.read_text(errors="replace").splitlines()
        yield from map(Text, [*lines[:MOST_LINES], *_more(lines)])
    environment = []
    for column in schema.ENVIRONMENT:
        if column in found and column != "started_at":
            values = [str(value) for value in found[column].dropna().unique()]
            if values:
                environment.append(f"{column}: {', '.join(values[:5])}")
    yield Text("; ".join(environment))


def _failures(runs: pd.DataFrame) -> Iterator[Block]:
    failed = runs[runs["status"] != "ok"]
    if runs.empty:
        return
    counts = ", ".join(f"{n:,} {status}" for status, n in runs["status"].value_counts().items())
    first, last = runs["started_at"].min(), runs["started_at"].max()
    yield Heading("Runs")
    yield Text(f"{len(runs):,} runs: {counts}. Started between {first} and {last} UTC.")
    if failed.empty:
        return
    yield Heading("Runs without a result", level=3)
    columns = ("run_id", "dataset", "model", "optimizer", "seed", "status", "error")
    shown = failed.head(MOST_LINES)[list(columns)].astype("string").fillna("")
    yield Table(columns, [tuple(row) for row in shown.to_numpy()])
    yield from map(Text, _more(failed))


def _more(lines: "list[str] | pd.DataFrame") -> list[str]:
    return [f"... and {len(lines) - MOST_LINES:,} more"] if len(lines) > MOST_LINES else []
