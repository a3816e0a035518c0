"""The results of a search, and the accuracy that each number of trials reaches."""

import json
from collections.abc import Iterator

import pandas as pd

from benchmarks.analysis import trials
from benchmarks.reports import plots
from benchmarks.reports.labels import Labels
from benchmarks.reports.names import Names
from benchmarks.reports.page import Block, Heading, Items, Plot, Table, Text

MOST_FINALISTS = 10
"""The largest number of finalists of an optimizer in the table."""


def section(found: pd.DataFrame, names: Names) -> Iterator[Block]:
    """Show each search: the best trials, accuracy against learning rate, the best of k."""
    done = found[found["status"].notna()]
    if len(done) < len(found):
        yield Text(f"Interrupted: {len(done):,} of {len(found):,} trials have been run.")
    problems = done.groupby(["dataset", "model"], sort=False)
    for number, ((dataset, model), of_problem) in enumerate(problems, start=1):
        yield Heading(f"{dataset}, {model}: search")
        searches = [
            (str(name), group) for name, group in of_problem.groupby("optimizer", sort=False)
        ]
        yield _best(searches, names.labels)
        yield Text(
            "The trial with the highest validation accuracy is the best one; its test accuracy is "
            "the result. With finalists, both are means over seeds that the search did not use."
        )
        yield from _plots(number, searches[: plots.MOST_SERIES], names)
    warnings = list(trials.warnings(done))
    if warnings:
        yield Items([f"Warning: {warning}" for warning in warnings])


def _best(searches: list[tuple[str, pd.DataFrame]], labels: Labels) -> Table:
    """Return the table: a row for each optimizer, and one for each further finalist."""
    rows = []
    for name, group in searches:
        drawn = trials.drawn(group)
        ok = f"{(drawn['status'] == 'ok').sum()} of {len(drawn)}"
        ranked = trials.ranking(group)
        if ranked.empty:
            rows.append((labels[name], ok, "", "", "", ""))
        finalists = ranked[ranked["seeds"] > 0]
        for place, row in enumerate((finalists if len(finalists) else ranked[:1]).itertuples()):
            if place == MOST_FINALISTS:
                break
            parameters = ", ".join(f"{k}={v!r}" for k, v in json.loads(row.parameters).items())
            accuracies = (f"{row.val_accuracy:.4f}", f"{row.test_accuracy:.4f}")
            first = (labels[name], ok) if place == 0 else ("", "")
            rows.append((*first, parameters, str(row.seeds or ""), *accuracies))
    header = ("optimizer", "ok", "best", "further seeds", "val accuracy", "test accuracy")
    if not any(seeds for *_, seeds, _, _ in rows):
        return Table((*header[:3], *header[4:]), [(*row[:3], *row[4:]) for row in rows])
    return Table(header, rows)


def _plots(number: int, searches: list[tuple[str, pd.DataFrame]], names: Names) -> Iterator[Block]:
    rates = []
    for name, group in searches:
        drawn = trials.drawn(group)
        values = [json.loads(text).get("learning_rate") for text in drawn["parameters"]]
        frame = drawn.assign(learning_rate=pd.array(values, "Float64")).dropna(
            subset=["learning_rate"]
        )
        rates.append((name, frame.astype({"learning_rate": float, "val_accuracy": float})))
    rates = [(name, frame) for name, frame in rates if frame["learning_rate"].nunique() > 1]
    if rates:
        yield Plot(
            f"learning-rate-accuracy-{number}.svg",
            plots.trials(names.series(rates), "learning_rate"),
            "Validation accuracy of each trial against its learning rate. A cross is a trial that "
            "diverged or failed.",
        )
    yield Plot(
        f"best-of-k-{number}.svg",
        plots.best_of_k(
            names.series([(name, trials.best_of_k(group)) for name, group in searches])
        ),
        "Test accuracy of the trial with the best validation accuracy, against the number of "
        "trials. Line: median over searches of this size; band: nine in ten of them.",
    )
