"""The tables of the comparisons: which optimizer is better, and how certain this is."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from benchmarks import printing
from benchmarks.analysis.metrics import in_changes, is_far
from benchmarks.analysis.verdict import Comparison, in_words
from benchmarks.reports.labels import Labels
from benchmarks.reports.page import Block, Heading, Table, Text
from benchmarks.reports.sections.words import heading

MOST_TABLES = 8
"""The largest number of tables for one problem; `compare --json` has all comparisons."""

MOST_PROBLEMS = 8
"""The largest number of problems with their own section."""

Kind = Literal["better", "worse", "none", "inconclusive"]
KINDS: tuple[Kind, ...] = ("better", "worse", "none", "inconclusive")


def are_repeated(comparisons: Sequence[Comparison]) -> bool:
    """Whether any comparison has more than one pair; one pair shows no difference."""
    return any(compared.pairs > 1 for compared in comparisons)


def median_change(comparisons: Sequence[Comparison], as_factor: bool) -> str:
    """Spell the median change over comparisons in one metric; "" if no pair has both values."""
    estimates = [compared.effect.estimate for compared in comparisons if compared.effect.n]
    if not estimates:
        return ""
    return in_changes(comparisons[0].metric, [float(np.median(estimates))], as_factor)


def counts(
    comparisons: Sequence[Comparison], labels: Labels, name: Callable[[str], str] = str
) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Return header and rows: the counts of the verdicts for each optimizer and metric.

    Args:
        comparisons: the comparisons of several problems.
        labels: the labels of the optimizers.
        name: the heading of a column.
    """
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for compared in comparisons:
        names = compared.baseline, compared.subject, compared.metric.column
        groups.setdefault(names, []).append(compared)
    as_factor = needs_factors(comparisons)
    rows = []
    for (baseline, subject, column), of_metric in groups.items():
        kinds = Counter(kind(compared) for compared in of_metric)
        median = median_change(of_metric, as_factor)
        numbers = (f"{kinds[one]:,}" for one in KINDS)
        rows.append((labels[subject], labels[baseline], name(column), *numbers, median))
    return (
        (
            "optimizer",
            "against",
            "metric",
            "better",
            "worse",
            "none",
            "inconclusive",
            "median change",
        ),
        rows,
    )


def kind(compared: Comparison) -> Kind:
    """Return the kind of a verdict: better, worse, no difference, or inconclusive."""
    if compared.is_different:
        return "better" if compared.is_better else "worse"
    if compared.is_lost_more_or_less:
        return "worse" if compared.losses > compared.gained else "better"
    return "none" if compared.verdict.startswith("no difference") else "inconclusive"


def of_problem(comparisons: Sequence[Comparison], labels: Labels) -> Iterator[Block]:
    """Show the comparisons on one problem: a table for each optimizer."""
    tables = [
        (names, list(group))
        for names, group in itertools.groupby(comparisons, lambda c: (c.baseline, c.subject))
    ]
    for (baseline, subject), group in tables[:MOST_TABLES]:
        yield Heading(f"{labels[subject]} against {labels[baseline]}", level=3)
        yield Table(*table(group, labels, heading))
    if len(tables) > MOST_TABLES:
        yield Text(f"{len(tables) - MOST_TABLES:,} more: `python -m benchmarks compare --json`.")


def of_problems(comparisons: Sequence[Comparison], labels: Labels) -> Iterator[Block]:
    """Show the comparisons of each problem under its name."""
    if not are_repeated(comparisons):
        return  # winners of a search without finalists have one run each
    groups = [list(g) for _, g in itertools.groupby(comparisons, lambda c: c.problem)]
    for group in groups[:MOST_PROBLEMS]:
        yield Heading(group[0].problem)
        yield from of_problem(group, labels)


def table(
    comparisons: Sequence[Comparison], labels: Labels, name: Callable[[str], str] = str
) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Return header and rows for comparisons of one pair, with a line for each metric."""
    first = comparisons[0]
    names = [first.baseline, first.subject]
    of_two_folders = len({name.partition(" in ")[0] for name in names}) == 1
    header = (
        *("metric", *(("before", "after") if of_two_folders else (labels[n] for n in names))),
        *("change", "95 % interval", "p", "corrected p", "pairs", "verdict"),
    )
    as_factor = needs_factors(comparisons)
    rows = [(name(c.metric.column), *_means(c), *_judged(c, as_factor)) for c in comparisons]
    return header, rows


def of_races(comparisons: Sequence[Comparison], labels: Labels) -> Table:
    """Show comparisons of several problems, with several baselines, in one table."""
    as_factor = needs_factors(comparisons)
    return Table(
        (
            *("problem", "optimizer", "against", "change", "95 % interval"),
            *("p", "corrected p", "rounds", "verdict"),
        ),
        [
            (c.problem, labels[c.subject], labels[c.baseline], *_judged(c, as_factor))
            for c in comparisons
        ],
    )


def in_one_line(compared: Comparison) -> str:
    """Return the numbers of a comparison as one line, which may be broken only between them."""
    before, after = _means(compared)
    change, interval, p, corrected, pairs, _ = _judged(compared, None)
    words = [f"{before} -> {after}"] if before and after else []
    words += [f"{change} ({interval})" if interval else change] if change else []
    words += [f"p {p} (corrected {corrected})"] if p else []
    return ", ".join(part.replace(" ", printing.NO_BREAK) for part in [*words, f"pairs {pairs}"])


def _judged(compared: Comparison, as_factor: bool | None) -> tuple[str, ...]:
    change, interval, p, p_corrected, verdict = in_words(compared, as_factor)
    return change, interval, p, p_corrected, str(compared.effect.n), verdict


def needs_factors(comparisons: Sequence[Comparison]) -> bool:
    """Whether the ratios of a table are written as factors, because one is far from 1."""
    return any(is_far(c.metric, [c.effect.estimate]) for c in comparisons if c.effect.n)


def _means(compared: Comparison) -> tuple[str, str]:
    before, after = (
        f"{mean:.4g}" if np.isfinite(mean) else ""
        for mean in (compared.mean_baseline, compared.mean_subject)
    )
    return before, after


def method(comparisons: Sequence[Comparison], refused: str) -> Iterator[Block]:
    """Explain the verdicts, or say why there are none."""
    yield Heading("How the comparisons are made" if comparisons else "Comparison")
    if not comparisons:
        yield Text(f"None: {refused}.")
        return
    if are_repeated(comparisons):
        yield Text(explanation(comparisons))
    else:
        yield Text("None, because there is only one run of each, and one run shows no difference.")


def explanation(comparisons: Sequence[Comparison]) -> str:
    """Explain the columns of these comparisons."""
    tests = comparisons[0].tests
    words = (
        "Runs are paired by their seeds, updates by the rounds of the race. Both means are over "
        "the pairs; they are geometric if the change is a ratio. The interval is Student's. p is "
        f"from the paired t-test. The corrected p is from Holm's method, for the {tests:,} "
        f"test{'s' * (tests != 1)} that these folders make possible, shown here or not. The "
        "verdict is a difference if the corrected p is below 0.05. It is no difference if the "
        "interval excludes differences above 5 % (accuracy: 0.01), and it names the largest "
        "possible one. Otherwise it is inconclusive."
    )
    if any(compared.has_losses for compared in comparisons):
        words += (
            " A run that diverged, failed or missed the target is lost, and counts as worse than "
            "any other. If runs were lost, p is from the sign test over the pairs, and there is "
            "no interval. Means and change are then over the pairs in which neither run was lost. "
            "Another sign test asks whether one side is lost more often. Tests of values and of "
            "losses are corrected separately, and each p is doubled for that."
        )
    return words
