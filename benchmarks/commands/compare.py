"""`compare`: ratios with intervals, a test and a verdict, from the CSV files alone."""

import itertools
import math
import sys
from pathlib import Path

import click

from benchmarks.errors import InputError


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    help="Optimizer that the others are compared with, spelled as in runs.csv. "
    "Default: adam, else the first. Only with one folder.",
)
@click.option(
    "--optimizer",
    "subjects",
    multiple=True,
    help="Compare only this one, spelled as in runs.csv. Repeatable.",
)
@click.option(
    "--any-environment",
    is_flag=True,
    help="Compare runs that were made on different machines or with different versions, too.",
)
@click.option(
    "--max-regression",
    metavar="PERCENT",
    help="Exit with code 1 if anything got worse by more than that (5%; of the accuracy, 5% means "
    "0.05), and if a run failed or missed the target that did not before.",
)
def compare(
    folders: tuple[Path, ...],
    baseline: str | None,
    subjects: tuple[str, ...],
    any_environment: bool,
    max_regression: str | None,
) -> int:
    """Compare the optimizers in one results FOLDER, or two FOLDERS: before and after a change.

    Runs are paired by their seeds. For each metric: the medians; the ratio
    (geometric mean over the pairs) or, for the accuracy, the difference (mean);
    its bootstrap interval; the p-value of the paired t-test; a verdict.
    """
    if len(folders) > 2:
        raise InputError(f"{len(folders)} folders given: compare takes one or two")
    if len(folders) == 2 and baseline is not None:
        raise InputError(
            "only with one folder; with two, the first is the baseline", baseline=baseline
        )
    largest = math.inf if max_regression is None else _percent(max_regression)

    from rich.console import Console

    from benchmarks.commands import terminal
    from benchmarks.reports import comparison

    comparisons, warnings = (
        comparison.within(folders[0], baseline, subjects, any_environment)
        if len(folders) == 1
        else comparison.between(folders[0], folders[1], subjects, any_environment)
    )
    console = Console(width=None if sys.stdout.isatty() else 160)
    for (before, after, problem), group in itertools.groupby(
        comparisons, key=lambda c: (c.before, c.after, c.problem)
    ):
        console.print(f"{after} against {before}: {problem}", markup=False, highlight=False)
        console.print(terminal.comparison(list(group)), "")
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if max_regression is None:
        return 0
    worse = [c for c in comparisons if c.is_regression(largest)]
    for c in worse:
        print(f"Regression: {c.metric.column} of {c.after}: {c.verdict} ({c.problem})")
    return int(bool(worse))


def _percent(text: str) -> float:
    """Read `5%` as 0.05."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError("expected a percentage such as 5%", max_regression=text)
    return value
