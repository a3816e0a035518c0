"""The results of training runs: a table and the curves of each problem."""

import itertools
from collections.abc import Iterator, Sequence

import pandas as pd

from benchmarks.analysis.comparison import default_baseline
from benchmarks.analysis.verdict import Comparison
from benchmarks.reports import plots
from benchmarks.reports.labels import Labels
from benchmarks.reports.names import Names
from benchmarks.reports.page import Block, Details, Heading, Plot, Table, Text
from benchmarks.reports.sections import comparing
from benchmarks.reports.sections.comparing import MOST_PROBLEMS
from benchmarks.reports.sections.words import COST, HEADINGS, OUTCOME, heading, spell

FEW_IMAGES = 1000
"""Below this number of test images, the page says how much one of them counts."""

MOST_ROWS = 1000
"""The largest number of rows in a table; runs.csv has all rows."""


def sections(
    runs: pd.DataFrame, epochs: pd.DataFrame, comparisons: Sequence[Comparison], names: Names
) -> Iterator[Block]:
    """Show the results, curves and comparisons of each problem, or of the first ones of many."""
    by_problem = {
        problem: list(group)
        for problem, group in itertools.groupby(comparisons, lambda compared: compared.problem)
    }
    problems = list(runs.groupby("problem", sort=False))
    for number, (problem, group) in enumerate(problems[:MOST_PROBLEMS], start=1):
        yield Heading(str(problem))
        yield from _results(group, names.labels)
        yield from _plots(number, group, epochs, names)
        yield from comparing.of_problem(by_problem.get(problem, []), names.labels)
    if len(problems) > MOST_PROBLEMS:
        yield Heading("All problems")
        yield Text(
            f"{len(problems):,} problems, with medians over the seeds. The first {MOST_PROBLEMS} "
            "are shown in full above."
        )
        yield Details(
            f"Results of all {len(problems):,} problems", list(_all_results(runs, names.labels))
        )


def _by_subject(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), group) for name, group in runs.groupby("subject", sort=False)]


def _results(runs: pd.DataFrame, labels: Labels) -> Iterator[Block]:
    subjects = _by_subject(runs)
    outcome, cost = [], []
    of_outcome, of_cost = (_measured(runs, columns) for columns in (OUTCOME, COST))
    for name, group in subjects[:MOST_ROWS]:
        ok = group[group["status"] == "ok"]
        rates = ", ".join(f"{rate:g}" for rate in group["learning_rate"].dropna().unique())
        what = (labels[name], rates, f"{len(ok)} of {len(group)}")
        outcome.append((*what, *(_median_and_range(ok, column) for column in of_outcome)))
        cost.append((labels[name], *(_median_and_range(ok, column) for column in of_cost)))
    yield Table(("optimizer", "learning rate", "ok", *map(heading, of_outcome)), outcome)
    if of_cost:
        yield Table(("optimizer", *map(heading, of_cost)), cost)
    yield Text(" ".join(["Median over the seeds, with the range.", *_images(runs)]))
    if len(subjects) > MOST_ROWS:
        yield Text(f"... and {len(subjects) - MOST_ROWS:,} more in runs.csv.")


def _images(runs: pd.DataFrame) -> Iterator[str]:
    """Say how many images the runs had, and how finely the accuracy can be measured with them."""
    counts = runs[["train_images", "validation_images", "test_images"]].dropna(how="all")
    if len(counts.drop_duplicates()) != 1 or counts.iloc[0].isna()["test_images"]:
        return
    train, held_out, test = counts.iloc[0].fillna(0).astype(int)
    validated = f"{held_out:,} for validation, " if held_out else ""
    yield f"Images of each run: {train:,} for training, {validated}{test:,} for testing."
    if test < FEW_IMAGES:
        yield f"One test image more or less changes the accuracy by {1 / test:.2g}."


def _measured(runs: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    return [column for column in columns if runs[column].notna().any()]


def _all_results(runs: pd.DataFrame, labels: Labels) -> Iterator[Block]:
    columns = _measured(runs, list(HEADINGS))
    ok = runs[runs["status"] == "ok"]
    medians = ok.astype(dict.fromkeys(columns, float)).groupby(["problem", "subject"], sort=False)
    table = medians[columns].median()
    rows = [
        (
            *(str(key[0]), labels[key[1]]),
            *("" if pd.isna(v) else spell(c, v) for c, v in zip(columns, row, strict=True)),
        )
        for key, row in zip(table.index[:MOST_ROWS], table.to_numpy(), strict=False)
    ]
    yield Table(("problem", "optimizer", *map(heading, columns)), rows)
    if len(table) > MOST_ROWS:
        yield Text(f"... and {len(table) - MOST_ROWS:,} more: see runs.csv.")


def _median_and_range(runs: pd.DataFrame, column: str) -> str:
    values = runs[column].dropna()
    if values.empty:
        return ""
    numbers = values.median(), values.min(), values.max()
    median, low, high = (spell(column, value) for value in numbers)
    return f"{median} ({low} to {high})" if low != high else median


def _plots(number: int, runs: pd.DataFrame, epochs: pd.DataFrame, names: Names) -> Iterator[Block]:
    """Draw the runs with a result, except those that diverged, which have no complete curve."""
    ok = runs[runs["status"] == "ok"]
    if ok.empty:
        return
    drawn, left_out = _worth_a_curve(ok)
    ok = ok[ok["subject"].isin(drawn)]
    joined = _curve_columns(epochs.merge(ok[["run_id", "subject"]], on="run_id"))
    if len(joined):
        series = names.series((name, joined[joined["subject"] == name]) for name in drawn)
        yield from _curves(number, joined, series, ok["target_accuracy"].dropna(), left_out)
    timed = ok.dropna(subset=["step_ms_p50", "step_ms_p90", "step_ms_p99"])
    if len(timed):
        groups = [(name, group.head(25)) for name, group in _by_subject(timed)]
        yield Plot(
            f"step-time-{number}.svg",
            plots.percentiles(names.series(groups)),
            "Time of a training step, with a line for each run: median (dot), 90th and 99th "
            "percentile." + left_out,
        )


def _curve_columns(joined: pd.DataFrame) -> pd.DataFrame:
    """Add the steps and seconds since the start of each run; make the drawn columns floats."""
    joined = joined.sort_values(["run_id", "epoch"])
    for source, total in (("steps", "total_steps"), ("seconds", "total_seconds")):
        joined[total] = joined.groupby("run_id")[source].cumsum()
    floats = ["total_steps", "total_seconds", "learning_rate"]
    floats += [
        f"{split}_{what}" for split in ("train", "val", "test") for what in ("accuracy", "loss")
    ]
    return joined.astype(dict.fromkeys(floats, float))


def _worth_a_curve(ok: pd.DataFrame) -> tuple[list[str], str]:
    """Return the drawn subjects, in the order of the table, and a sentence about the others."""
    subjects = list(dict.fromkeys(ok["subject"]))
    if len(subjects) <= plots.MOST_SERIES:
        return subjects, ""
    medians = ok.groupby("subject")["test_accuracy"].median().sort_values(ascending=False)
    first = [default_baseline(ok), *medians.index]
    chosen = set(list(dict.fromkeys(first))[: plots.MOST_SERIES])
    return (
        [subject for subject in subjects if subject in chosen],
        f" The baseline and the {plots.MOST_SERIES - 1} most accurate of {len(subjects):,}.",
    )


def _curves(
    number: int, joined: pd.DataFrame, series: plots.Series, targets: pd.Series, left_out: str
) -> Iterator[Block]:
    target = float(targets.iloc[0]) if len(targets) else None
    for column, label, what in (
        ("total_steps", "steps", "steps"),
        ("total_seconds", "seconds of training", "time"),
    ):
        yield Plot(
            f"accuracy-{what}-{number}.svg",
            plots.curves(
                series, column, [("test_accuracy", "test")], label, "test accuracy", target
            ),
            f"Test accuracy against {what}: median over the seeds, and their range.{left_out}",
        )
    other, name = ("val", "validation") if joined["val_loss"].notna().any() else ("test", "test")
    losses = [("train_loss", "training"), (f"{other}_loss", name)]
    losses = [(column, what) for column, what in losses if joined[column].notna().any()]
    if losses:
        is_wide = joined[losses[0][0]].max() > 10 * joined[losses[0][0]].min() > 0
        yield Plot(
            f"loss-{number}.svg",
            plots.curves(series, "total_steps", losses, "steps", "loss", is_logarithmic=is_wide),
            f"Loss against steps, {' and '.join(what for _, what in losses)}: median over the "
            f"seeds.{left_out}",
        )
    if joined.groupby("run_id")["learning_rate"].nunique().max() > 1:
        yield Plot(
            f"learning-rate-{number}.svg",
            plots.curves(
                *(series, "total_steps", [("learning_rate", "")], "steps", "learning rate"),
                is_logarithmic=True,
            ),
            f"Learning rate at the end of each epoch.{left_out}",
        )
