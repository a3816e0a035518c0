"""A folder of results as a page for readers.

`blocks` has the content of the page in order. Each kind of section has its own file. `page` writes
the page, and `plots` draws the plots.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.analysis import observations, programs, trials
from benchmarks.analysis.comparison import within_observations
from benchmarks.analysis.verdict import Comparison
from benchmarks.errors import InputError
from benchmarks.reports import names
from benchmarks.reports.page import (
    Block,
    Code,
    Heading,
    Items,
    Plot,
    Table,
    Text,
    to_html,
    to_markdown,
)
from benchmarks.reports.sections import answer, comparing, grid, racing, searching, training
from benchmarks.reports.sections import programs as compiled
from benchmarks.store import schema
from benchmarks.store.report import Report

MOST_LINES = 50
"""The largest number of lines with failures and warnings; further ones are counted."""


def write(folder: Path, output: Path | None = None) -> list[Path]:
    """Write report.html, report.md and the plots of the results in `folder`; return the files.

    The files are written into `output`, or into `folder`.

    Raises:
        InputError: there is no report in `folder`, or a file cannot be written.
    """
    page = list(blocks(folder))
    files = {
        "report.html": to_html(folder.resolve().name, page),
        "report.md": to_markdown(page),
        **{block.file: block.svg for block in page if isinstance(block, Plot)},
    }
    output = output or folder
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            new = output / f".{name}.new"
            new.write_text(content)
            new.replace(output / name)
    except OSError as error:
        raise InputError(f"{output}: {error.strerror}") from error
    return [output / name for name in files]


def blocks(folder: Path) -> Iterator[Block]:
    """Yield the content of the page.

    Raises:
        InputError: there is no report in `folder`.
    """
    yield Heading(folder.resolve().name, level=1)
    if programs.is_in(folder):
        yield from compiled.section(folder)
        compiled_programs = programs.read_programs(folder)
        key = names.of(compiled_programs["optimizer"]).key()
        yield from _how_it_was_made(folder, compiled_programs, key)
        return
    report = Report(folder)
    runs = report.rows("runs.csv")
    comparisons: list[Comparison] = []
    warnings: list[str] = []
    refused, found = "", runs
    try:
        found = observations.read_observations(report)
        comparisons, warnings = within_observations(found, str(folder))
    except InputError as error:
        if found.empty:
            raise
        refused = str(error)
    if trials.is_search(folder):
        tried = trials.read_trials(report)
        called = names.of([*tried["optimizer"], *found.get("subject", [])])
        yield from answer.of_search(tried, comparisons, called.labels)
        yield from searching.section(tried, called)
        yield from comparing.of_problems(comparisons, called.labels)
    else:
        if "subject" not in found:
            found = observations.from_runs(found)
        called = names.of(found["subject"])
        yield from answer.of_observations(found, comparisons, called.labels)
        if len(runs):
            of_runs = found[found["run_id"].notna()]
            epochs = report.rows("epochs.csv")
            yield from training.sections(of_runs, epochs, comparisons, called)
        if report.has("overhead.csv"):
            yield from comparing.of_problems(comparisons, called.labels)
        yield from grid.sections(report)
        yield from racing.sections(report, comparisons, called)
    yield from comparing.method(comparisons, refused)
    if warnings:
        yield Heading("Warnings")
        yield Items([*warnings[:MOST_LINES], *_more(warnings)])
    yield from _failures(runs)
    yield from _how_it_was_made(folder, found, called.key())


def _how_it_was_made(
    folder: Path, found: pd.DataFrame, key: Sequence[tuple[str, str]] = ()
) -> Iterator[Block]:
    """Show the command, the machine, the versions, and the meaning of short labels."""
    yield Heading("How it was made")
    commands = folder / "command.txt"
    if commands.exists():
        lines = commands.read_text(errors="replace").splitlines()
        yield Code([*lines[:MOST_LINES], *_more(lines)])
    if key:
        yield Table(("label", "optimizer"), key[:MOST_LINES])
        yield from map(Text, _more(key))
    facts = dict(_environment(folder))
    for column in schema.ENVIRONMENT:
        if column in found and column != "started_at":
            values = [str(value) for value in found[column].dropna().unique()]
            if values:
                facts[column] = ", ".join(values[:5])
    if facts:
        yield Items([f"{name}: {value}" for name, value in facts.items()])


def _environment(folder: Path) -> Iterator[tuple[str, str]]:
    """Read environment.json for rows without an environment; ignore a damaged file."""
    try:
        said = json.loads((folder / "environment.json").read_text(errors="replace"))
    except (OSError, ValueError):
        return
    for column in schema.ENVIRONMENT:
        if isinstance(said, dict) and said.get(column) is not None and column != "started_at":
            yield column, str(said[column])


def _failures(runs: pd.DataFrame) -> Iterator[Block]:
    failed = runs[runs["status"] != "ok"]
    if runs.empty:
        return
    counts = ", ".join(f"{n:,} {status}" for status, n in runs["status"].value_counts().items())
    first, last = runs["started_at"].min(), runs["started_at"].max()
    yield Heading("Runs")
    yield Text(
        f"{len(runs):,} run{'s' if len(runs) > 1 else ''}: {counts}. "
        + (
            f"Started from {_minute(first)} to {_minute(last)} UTC."
            if isinstance(first, str)
            else ""
        )
    )
    if failed.empty:
        return
    yield Heading("Runs without a result", level=3)
    columns = ("run_id", "dataset", "model", "optimizer", "seed", "status", "error")
    shown = failed.head(MOST_LINES)[list(columns)].astype("string").fillna("")
    yield Table(columns, [tuple(row) for row in shown.to_numpy()])
    yield from map(Text, _more(failed))


def _minute(started_at: str) -> str:
    return started_at[:16].replace("T", " ")


def _more(lines: "Sequence[object] | pd.DataFrame") -> list[str]:
    return [f"... and {len(lines) - MOST_LINES:,} more"] if len(lines) > MOST_LINES else []
