"""The time of an update or a step: a table, a plot and the comparisons of each model."""

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from benchmarks.analysis.verdict import Comparison
from benchmarks.reports import plots
from benchmarks.reports.names import Names
from benchmarks.reports.page import Block, Heading, Plot, Table, Text
from benchmarks.reports.sections import comparing
from benchmarks.store.report import Report


def sections(report: Report, comparisons: Sequence[Comparison], names: Names) -> Iterator[Block]:
    """Show the races of a report, if there are any."""
    for name, shapes, what in (
        ("updates.csv", "shapes", "update"),
        ("steps.csv", "model", "step"),
    ):
        if report.has(name):
            rows = report.rows(name).rename(columns={shapes: "shapes", "optimizer": "subject"})
            for model, group in rows.groupby("shapes", sort=False):
                yield from _race(str(model), what, group, names)
                problem = re.compile(rf"{re.escape(str(model))}, [^,]*(, batches of \d+)? on ")
                metric = f"{what}_ms_p50"
                mine = [
                    c for c in comparisons if problem.match(c.problem) and c.metric.column == metric
                ]
                if mine:
                    yield comparing.of_races(mine, names.labels)


def _race(model: str, what: str, rows: pd.DataFrame, names: Names) -> Iterator[Block]:
    first = rows.iloc[0]
    yield Heading(f"{model}: one {what}")
    has_limit = "bandwidth_limit_ms" in rows and rows["bandwidth_limit_ms"].notna().any()
    words = (
        f"{first['variables']:,} variables, {first['params']:,} parameters, on {first['device']}; "
        f"{first['repetitions']} repetitions each."
    )
    if has_limit:
        words += (
            " The limit is the time in which the memory moves 28 bytes a parameter, which Adam "
            "has to read and write."
        )
    yield Text(words)
    header = ["optimizer", "mode", "backend", "ms", "least ms", "90 % below ms", "first call s"]
    header += ["times the limit", "state MB"] if has_limit else []
    lines = []
    for _, row in rows.iterrows():
        times = [row[f"{what}_ms_{q}"] for q in ("p50", "min", "p90")]
        line = [
            names.labels[row["subject"]],
            row["mode"],
            row["backend"],
            *(f"{ms:.4g}" for ms in times),
        ]
        line.append(f"{row['first_call_seconds']:.2f}")
        if has_limit:
            line.append(f"{times[0] / row['bandwidth_limit_ms']:.2f}")
            line.append(f"{row['state_bytes'] / 1e6:,.1f}")
        lines.append(line)
    yield Table(header, lines)
    limit = float(first["bandwidth_limit_ms"]) if has_limit else None
    groups = [(str(name), group) for name, group in rows.groupby("subject", sort=False)]
    yield Plot(
        f"{what}-{re.sub(r'[^a-zA-Z0-9]+', '-', model)}.svg",
        plots.times(names.series(groups), f"{what}_ms_p50", f"milliseconds of one {what}", limit),
        f"Median time of one {what} of {model}.",
    )
