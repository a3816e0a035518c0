"""`compare`: changes with intervals, a test and a verdict, from the CSV files."""

import itertools
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import printing
from benchmarks.analysis.selection import Selection
from benchmarks.errors import InputError

if TYPE_CHECKING:
    from benchmarks.analysis.gate import Outcome
    from benchmarks.analysis.verdict import Comparison

MOST_TABLES = 40
"""The largest number of tables in the output. If there are more, it only counts their verdicts."""

MOST_LINES = 100
"""The largest number of lines of these counts, and of warnings."""


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    help="Optimizer with which the others are compared, with its arguments if several have this "
    "name. Default: adam if it has a result, else the first optimizer with a result. Only with one "
    "folder.",
)
@click.option(
    "--optimizer",
    "subjects",
    multiple=True,
    help="Compare only this optimizer, named like the baseline. Repeatable.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Compare only this column, for example step_ms_p50. Repeatable.",
)
@click.option(
    "--any-environment",
    is_flag=True,
    help="Also compare runs from different machines or versions.",
)
@click.option(
    "--max-regression",
    metavar="PERCENT",
    help="Let the exit code say whether a metric got worse by more than this (such as 5%; for an "
    "accuracy, 5% means 0.05). 0: the intervals exclude it. 1: a test shows it, or a run failed "
    "and the baseline's run did not. 2: bad input. 3: undecided; the output says how many seeds "
    "would decide.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON list with an object for each comparison."
)
@click.option(
    "--merge",
    is_flag=True,
    help="Treat two or more FOLDERS as one report, with all their optimizers and seeds.",
)
def compare(
    folders: tuple[Path, ...],
    baseline: str | None = None,
    subjects: tuple[str, ...] = (),
    metrics: tuple[str, ...] = (),
    any_environment: bool = False,
    max_regression: str | None = None,
    as_json: bool = False,
    merge: bool = False,
) -> int:
    """Compare the optimizers in one results FOLDER, or two FOLDERS, before and after a change.

    Runs are paired by their seeds, updates by the rounds of the race. For each metric, the output
    has the means over the pairs (geometric for a ratio), the change with Student's 95 % interval, p
    of the paired t-test, and a verdict, corrected for the number of comparisons. Programs are
    counted, not measured, so their change is exact.
    """
    wanted = Selection(baseline, subjects, metrics, any_environment)
    if merge and len(folders) > 1:
        from benchmarks.store.merge import merge as put_together

        with tempfile.TemporaryDirectory() as name:
            merged = Path(name) / "merged"
            put_together(folders, merged)
            return compare_one_or_two((merged,), wanted, max_regression, as_json)
    if len(folders) > 2:
        raise InputError(
            f"{len(folders)} folders given: compare takes one folder, two folders (before and "
            "after), or any number with --merge"
        )
    return compare_one_or_two(folders, wanted, max_regression, as_json)


def compare_one_or_two(
    folders: tuple[Path, ...],
    wanted: Selection,
    max_regression: str | None,
    as_json: bool,
) -> int:
    """Compare within one folder, or between two; see `compare`."""
    if len(folders) == 2 and wanted.baseline is not None:
        raise InputError(
            "only with one folder; with two, the first is the baseline", baseline=wanted.baseline
        )
    size = None if max_regression is None else percent(max_regression)

    from benchmarks.analysis import comparison, gate, programs
    from benchmarks.analysis import metrics as measured

    if any(programs.is_in(folder) for folder in folders):
        from benchmarks.commands import compare_programs

        changes = compare_programs.changes(folders, wanted)
        code = compare_programs.show(changes, size, as_json)
        if len(folders) == 2 and not wanted.optimizers:
            for warning in programs.in_one_only(*folders):
                printing.warn(warning)
        return code
    valid = [metric.column for metric in measured.METRICS]
    for metric in wanted.metrics:
        if metric not in valid:
            raise InputError(f"valid are: {', '.join(valid)}", metric=metric)
    comparisons, warnings = (
        comparison.within(folders[0], wanted)
        if len(folders) == 1
        else comparison.between(folders[0], folders[1], wanted)
    )
    outcomes = [] if size is None else gate.judge(comparisons, size)
    if as_json:
        text = json.dumps(_objects(comparisons, outcomes), indent=1, allow_nan=False) + "\n"
    else:
        text = _text(comparisons)
    printing.write(text)
    for warning in warnings[:MOST_LINES]:
        printing.warn(warning)
    if len(warnings) > MOST_LINES:
        printing.warn(f"... and {len(warnings) - MOST_LINES} more")
    if size is None:
        return 0
    state = gate.overall(outcomes)
    # With --json, the standard output is only for a program.
    words = _gate(outcomes, state, f"{100 * size:g}%")
    if as_json:
        sys.stderr.write(words)
    else:
        printing.write(words)
    return gate.EXIT_CODES[state]


def percent(text: str) -> float:
    """Read `5%` as 0.05."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError("expected a percentage such as 5%", max_regression=text)
    return value


def _objects(
    comparisons: Sequence["Comparison"], outcomes: Sequence["Outcome"]
) -> list[dict[str, Any]]:
    """Return the output of --json; an unknown number is null."""
    objects = []
    for compared, outcome in itertools.zip_longest(comparisons, outcomes):
        effect = compared.effect
        numbers = {
            "estimate": effect.estimate,
            "low": math.nan if compared.has_losses else effect.low,
            "high": math.nan if compared.has_losses else effect.high,
            "p": compared.p,
            "p_corrected": compared.p_corrected,
            "mean_baseline": compared.mean_baseline,
            "mean_subject": compared.mean_subject,
        }
        objects.append(
            {
                "metric": compared.metric.column,
                "baseline": compared.baseline,
                "subject": compared.subject,
                **{name: v if math.isfinite(v) else None for name, v in numbers.items()},
                "n": effect.n,
                "verdict": compared.verdict,
                "scale": compared.metric.scale,
                "problem": compared.problem,
                "lost": compared.losses,
                "gained": compared.gained,
                **({"regression": outcome.state} if outcome else {}),
            }
        )
    return objects


def _text(comparisons: Sequence["Comparison"]) -> str:
    """Return the tables, or counts of verdicts if there are too many, and what the columns mean."""
    from benchmarks.commands import terminal
    from benchmarks.reports import labels
    from benchmarks.reports.sections import comparing

    console = printing.console()
    tables = [
        list(group)
        for _, group in itertools.groupby(
            comparisons, key=lambda c: (c.baseline, c.subject, c.problem)
        )
    ]
    names = labels.shorten(name for c in comparisons for name in (c.baseline, c.subject))
    with console.capture() as captured:
        if len(tables) > MOST_TABLES:
            header, rows = comparing.counts(comparisons, names)
            printing.table(console, header, rows[:MOST_LINES], names=3)
            console.print()
            if len(rows) > MOST_LINES:
                printing.say(console, f"... and {len(rows) - MOST_LINES:,} more.")
            printing.say(
                console, f"{len(tables):,} tables are left out; --json or --optimizer shows them."
            )
        else:
            for group in tables:
                first = group[0]
                printing.say(console, f"{first.subject} against {first.baseline}: {first.problem}")
                terminal.print_comparisons(console, group, names)
                console.print()
        printing.say(console, comparing.explanation(comparisons))
    return captured.get()


def _gate(outcomes: Sequence["Outcome"], state: str, size: str) -> str:
    """Return a line for each regression that is not excluded, and one line for all."""
    lines = []
    for outcome in outcomes:
        if outcome.state != "excluded":
            compared = outcome.comparison
            what = "Regression" if outcome.state == "shown" else "Inconclusive"
            lines.append(
                f"{what}: {compared.metric.column} of {compared.subject} against "
                f"{compared.baseline}: {outcome.reason} ({compared.problem})"
            )
    excluded = sum(outcome.state == "excluded" for outcome in outcomes)
    words = "neither shown nor excluded" if state == "inconclusive" else state
    lines.append(
        f"A regression of more than {size} is {words}. Comparisons that exclude it: {excluded} of "
        f"{len(outcomes)}."
    )
    return "\n".join(lines) + "\n"
