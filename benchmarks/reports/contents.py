"""A folder of results as a page that people read.

Knows only the tables: no TensorFlow. `blocks` says what is on the page,
`page` how it is written, `plots` how it is drawn.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.errors import InputError
from benchmarks.reports import comparison, csv_file, plots, schema, trials
from benchmarks.reports.page import Block, Heading, Items, Plot, Table, Text, to_html, to_markdown

SUMMARY = {
    "test_accuracy": ("test accuracy", "{:.4f}"),
    "steps_to_target": ("steps to target", "{:,.0f}"),
    "seconds_to_target": ("seconds to target", "{:,.1f}"),
    "images_per_second": ("images/s", "{:,.0f}"),
    "step_ms_p50": ("step ms", "{:.2f}"),
    "compile_seconds": ("compile s", "{:.1f}"),
    "data_wait_fraction": ("waits for data", "{:.0%}"),
    "inference_ms_p50": ("inference ms", "{:.2f}"),
    "peak_memory_mb": ("peak MB", "{:,.0f}"),
}
"""Column, its heading, its style. Columns that were not measured are left out."""


def write(folder: Path) -> list[Path]:
    """Write report.html, report.md and the plots of the results in `folder`; return the files.

    Raises:
        InputError: there is no report there, or a file cannot be written.
    """
    page = list(blocks(folder))
    files = {
        "report.html": to_html(folder.name, page).encode(),
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
    (runs,) = comparison.read(folder)
    epochs = csv_file.read(folder / "epochs.csv", schema.EPOCHS)
    yield Heading(folder.resolve().name, level=1)
    yield from _what_and_where(folder, runs)
    if (folder / "trials.csv").exists():  # one run each: nothing to average or to compare
        yield from _search(csv_file.read(folder / "trials.csv", schema.TRIALS))
        yield from _failures(runs)
        return
    for number, problem in enumerate(runs["problem"].unique(), start=1):
        of_problem = runs[runs["problem"] == problem]
        yield Heading(problem)
        yield _summary(of_problem)
        yield Text("Median over the seeds, with the range.")
        yield from _plots(number, of_problem, epochs)
    yield from _comparison(folder)
    yield from _failures(runs)


def _what_and_where(folder: Path, runs: pd.DataFrame) -> Iterator[Block]:
    commands = folder / "command.txt"
    if commands.exists():
        yield from map(Text, commands.read_text(errors="replace").splitlines())
    counts = ", ".join(f"{n} {status}" for status, n in runs["status"].value_counts().items())
    first, last = runs["started_at"].min(), runs["started_at"].max()
    yield Text(f"{len(runs)} runs: {counts}. Started between {first} and {last} UTC.")
    environment = []
    for column in schema.ENVIRONMENT:
        values = [str(value) for value in runs[column].dropna().unique()]
        if values and column != "started_at":
            environment.append(f"{column}: {', '.join(values)}")
    yield Items(environment)


def _by_subject(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), group) for name, group in runs.groupby("subject", sort=False)]


def _summary(runs: pd.DataFrame) -> Table:
    columns = [column for column in SUMMARY if runs[column].notna().any()]
    rows = []
    for name, group in _by_subject(runs):
        ok = group[group["status"] == "ok"]
        rates = ", ".join(f"{rate:g}" for rate in group["learning_rate"].unique())
        values = [_median_and_range(ok[column], SUMMARY[column][1]) for column in columns]
        rows.append((name, rates, f"{len(ok)} of {len(group)}", *values))
    headings = [SUMMARY[column][0] for column in columns]
    return Table(("optimizer", "learning rate", "ok", *headings), rows)


def _median_and_range(values: pd.Series, style: str) -> str:
    values = values.dropna()
    if values.empty:
        return ""
    median, low, high = (style.format(v) for v in (values.median(), values.min(), values.max()))
    return f"{median} ({low} to {high})" if low != high else median


def _plots(number: int, runs: pd.DataFrame, epochs: pd.DataFrame) -> Iterator[Block]:
    """Draw the runs that came to their end; one that diverged has no curve to its end."""
    ok = runs[runs["status"] == "ok"]
    if ok.empty:
        return
    joined = epochs.merge(ok[["run_id", "subject"]], on="run_id").sort_values(["run_id", "epoch"])
    for source, total in (("steps", "total_steps"), ("seconds", "total_seconds")):
        joined[total] = joined.groupby("run_id")[source].cumsum()
    targets = ok["target_accuracy"].dropna().unique()
    target = float(targets[0]) if len(targets) else None
    # In the order of the table, for the same colours in all plots.
    series = [(n, joined[joined["subject"] == n].astype(_FLOATS)) for n, _ in _by_subject(ok)]
    for column, label, what in (
        ("total_steps", "steps", "steps"),
        ("total_seconds", "seconds of training", "time"),
    ):
        yield Plot(
            f"accuracy-{what}-{number}.png",
            plots.curves(series, column, "test_accuracy", label, "test accuracy", target),
            f"Test accuracy against {what}: median over the seeds, and their range.",
        )
    timed = ok.dropna(subset=["step_ms_p50", "step_ms_p90", "step_ms_p99"])
    if len(timed):
        yield Plot(
            f"step-time-{number}.png",
            plots.percentiles(_by_subject(timed)),
            "Time of a training step, a line each run: median (dot), 90th and 99th percentile.",
        )


_FLOATS = {"total_steps": float, "total_seconds": float, "test_accuracy": float}


def _comparison(folder: Path) -> Iterator[Block]:
    yield Heading("Comparison")
    try:
        comparisons, warnings = comparison.within(folder, None, (), any_environment=False)
    except InputError as error:
        yield Text(f"None: {error}.")
        return
    rows = [
        (c.after, c.before, c.metric.column, *comparison.in_words(c), c.problem)
        for c in comparisons
    ]
    yield Table(
        ("optimizer", "against", "metric", "effect", "95 % interval", "p", "verdict", "problem"),
        rows,
    )
    yield Text(
        "Runs are paired by their seeds. The effect is the geometric mean of the ratios, for the "
        "accuracy the mean of the differences; the interval is a bootstrap over the seeds; p is "
        "that of a paired t-test; a verdict needs p below 0.05. With many comparisons, one in "
        "twenty is seen by chance."
    )
    if warnings:
        yield Items([f"Warning: {warning}" for warning in warnings])


def _search(found: pd.DataFrame) -> Iterator[Block]:
    problems = found.groupby(["dataset", "model"], sort=False)
    for number, ((dataset, model), of_problem) in enumerate(problems, start=1):
        yield Heading(f"{dataset}, {model}: the best of {of_problem['trial'].max() + 1} trials")
        series, rows = [], []
        for name, group in of_problem.groupby("optimizer", sort=False):
            series.append((str(name), trials.best_of_k(group)))
            best = trials.best(group)
            ok = f"{(group['status'] == 'ok').sum()} of {len(group)}"
            if best is not None:
                accuracies = f"{best['val_accuracy']:.4f}", f"{best['test_accuracy']:.4f}"
                rows.append((str(name), ok, best["parameters"], *accuracies))
        yield Table(("optimizer", "ok", "best", "val accuracy", "test accuracy"), rows)
        yield Plot(
            f"best-of-k-{number}.png",
            plots.best_of_k(series),
            "Test accuracy of the best trial by validation, in a search of so many: median, and "
            "the range of nine in ten such searches.",
        )
    yield Items([f"Warning: {warning}" for warning in trials.warnings(found)])


def _failures(runs: pd.DataFrame) -> Iterator[Block]:
    failed = runs[runs["status"] != "ok"]
    if len(failed):
        yield Heading("Runs without a result")
        columns: Sequence[str] = (
            "run_id",
            "dataset",
            "model",
            "subject",
            "seed",
            "status",
            "error",
        )
        yield Table(columns, [tuple(map(str, row)) for row in failed[list(columns)].values])
