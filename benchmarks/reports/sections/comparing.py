"""Which optimizer is better, and how sure that is."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.analysis.metrics import in_changes
from benchmarks.analysis.verdict import Comparison, in_words
from benchmarks.reports.labels import Labels, shorten
from benchmarks.reports.page import Block, Heading, Table, Text

MOST_TABLES = 8
"""On one problem; a reader of more wants a program: `compare --json`."""

MOST_LINES = 200
"""Of the overview."""

MOST_PROBLEMS = 8
"""That have a section of their own."""


def overview(comparisons: Sequence[Comparison]) -> Iterator[Block]:
    """Count the verdicts over the problems, if there are several."""
    if len({compared.problem for compared in comparisons}) < 2:
        return
    yield Heading("Overview")
    header, rows = counts(comparisons, _labels(comparisons))
    yield Table(header, rows[:MOST_LINES])
    yield Text(
        "In how many problems a difference for the better or for the worse is shown, none of any "
        "size that matters, or neither; and the median change over the problems."
    )
    if len(rows) > MOST_LINES:
        yield Text(f"... and {len(rows) - MOST_LINES:,} lines more.")


def _labels(comparisons: Sequence[Comparison]) -> Labels:
    return shorten(name for c in comparisons for name in (c.baseline, c.subject))


def counts(
    comparisons: Sequence[Comparison], labels: Labels
) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Return header and rows: how often each verdict, for each optimizer and metric."""
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for compared in comparisons:
        names = compared.baseline, compared.subject, compared.metric.column
        groups.setdefault(names, []).append(compared)
    rows = []
    for (baseline, subject, _), of_metric in groups.items():
        kinds = Counter(_kind(compared) for compared in of_metric)
        metric = of_metric[0].metric
        estimates = [c.effect.estimate for c in of_metric if c.effect.n]
        rows.append(
            (
                *(labels[subject], labels[baseline], metric.column),
                *(f"{kinds[kind]:,}" for kind in ("better", "worse", "none", "inconclusive")),
                in_changes(metric, [float(np.median(estimates))]) if estimates else "",
            )
        )
    return (
        ("optimizer", "against", "metric", "better", "worse", "none", "inconclusive", "median"),
        rows,
    )


def _kind(compared: Comparison) -> str:
    if compared.is_different:
        return "better" if compared.is_better else "worse"
    if compared.is_lost_more_or_less:
        return "worse" if compared.losses > compared.gained else "better"
    return "none" if compared.verdict.startswith("no difference") else "inconclusive"


def of_problem(comparisons: Sequence[Comparison]) -> Iterator[Block]:
    """Show the comparisons on one problem: a table for each optimizer."""
    tables = [
        (names, list(group))
        for names, group in itertools.groupby(comparisons, lambda c: (c.baseline, c.subject))
    ]
    for (baseline, subject), group in tables[:MOST_TABLES]:
        yield Heading(f"{subject} against {baseline}", level=3)
        yield Table(*table(group, _labels(comparisons)))
    if len(tables) > MOST_TABLES:
        yield Text(f"{len(tables) - MOST_TABLES:,} more: `python -m benchmarks compare --json`.")


def of_problems(comparisons: Sequence[Comparison]) -> Iterator[Block]:
    """Show the comparisons of each problem under its name."""
    if not any(compared.effect.n > 1 for compared in comparisons):
        return  # the winners of a search without finalists: one run each says nothing
    groups = [list(g) for _, g in itertools.groupby(comparisons, lambda c: c.problem)]
    for group in groups[:MOST_PROBLEMS]:
        yield Heading(group[0].problem)
        yield from of_problem(group)


def table(
    comparisons: Sequence[Comparison], labels: Labels
) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Return header and rows for comparisons of the same two: a line each metric."""
    first = comparisons[0]
    names = [first.baseline, first.subject]
    of_two_folders = len({name.partition(" in ")[0] for name in names}) == 1
    header = (
        *("metric", *(("before", "after") if of_two_folders else (labels[n] for n in names))),
        *("change", "95 % interval", "p", "corrected p", "pairs", "verdict"),
    )
    return header, [_row(compared) for compared in comparisons]


def _row(compared: Comparison) -> tuple[str, ...]:
    change, interval, p, p_corrected, verdict = in_words(compared)
    return (
        *(compared.metric.column, *_means(compared), change, interval, p),
        *(p_corrected, str(compared.effect.n), verdict),
    )


def _means(compared: Comparison) -> tuple[str, str]:
    before, after = (
        f"{mean:.4g}" if np.isfinite(mean) else ""
        for mean in (compared.mean_baseline, compared.mean_subject)
    )
    return before, after


def in_one_line(compared: Comparison) -> str:
    """Return the numbers of a comparison as a line of text."""
    before, after = _means(compared)
    change, interval, p, p_corrected, _ = in_words(compared)
    words = [f"{before} -> {after}"] if before and after else []
    words += [f"{change} ({interval})" if interval else change] if change else []
    words += [f"p {p} (corrected {p_corrected})"] if p else []
    return ", ".join([*words, f"pairs {compared.effect.n}"])


def method(comparisons: Sequence[Comparison], refused: str) -> Iterator[Block]:
    """Say how the verdicts are made, or why there are none."""
    yield Heading("How the comparisons are made" if comparisons else "Comparison")
    if not comparisons:
        yield Text(f"None: {refused}.")
        return
    if any(compared.effect.n > 1 for compared in comparisons):
        yield Text(explanation(comparisons))
    else:
        yield Text("None: there is one run of each, and so nothing to judge by.")


def explanation(comparisons: Sequence[Comparison]) -> str:
    """Say what the columns of these comparisons mean."""
    tests = comparisons[0].tests
    words = (
        "Runs are paired by their seeds, updates by the rounds of the race. Both means are over "
        "the pairs, geometric where the change is a ratio; the interval is Student's and p that "
        "of the paired t-test. The corrected p is Holm's, for the "
        f"{tests:,} test{'s' * (tests != 1)} of all that these folders let compare, shown here or "
        "not. A verdict of a difference needs a corrected p below 0.05; one of no "
        "difference names the largest that the interval leaves possible, up to 5 % (accuracy: "
        "0.01); all else is inconclusive."
    )
    if any(compared.has_losses for compared in comparisons):
        words += (
            " Where runs were lost (diverged, failed, or missed the target), a lost run is worse "
            "than any other, p is that of the sign test over the pairs, and there is no interval; "
            "means and change are those of the pairs in which neither was lost. Whether one is "
            "lost more often has a sign test of its own."
        )
    return words


def race_row(compared: Comparison) -> tuple[str, ...]:
    """Return the cells of a comparison whose table has several baselines."""
    change, interval, p, p_corrected, verdict = in_words(compared)
    return (
        *(compared.problem, compared.subject, compared.baseline),
        *(change, interval, p, p_corrected, str(compared.effect.n), verdict),
    )
