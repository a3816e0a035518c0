"""Sums up the verdicts in a few sentences and a small table: which are decided, which are open."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from benchmarks.analysis import trials
from benchmarks.analysis.metrics import in_changes, in_size
from benchmarks.analysis.verdict import Comparison
from benchmarks.reports.labels import Labels
from benchmarks.reports.page import Block, Table, Text
from benchmarks.reports.sections import comparing
from benchmarks.reports.sections.words import heading, spell

MOST_ROWS = 12
"""The largest number of rows in the small table."""

MOST_COLUMNS = 6
"""The largest number of columns in the small table if they are optimizers."""

MOST_NAMED = 4
"""The largest number of names in a sentence."""


def of_observations(
    found: pd.DataFrame, comparisons: Sequence[Comparison], labels: Labels
) -> Iterator[Block]:
    """Yield the answer for runs, updates and steps."""
    if found["problem"].nunique() == 1 and "target_accuracy" in found:
        words = " ".join(_first_at_target(found, comparisons, labels))
        if words:
            yield Text(words)
    not_ok = list(_not_ok(found, labels))
    if not_ok:
        yield Text(f"Runs that are not ok: {_listed(not_ok)}.")
    if not comparing.are_repeated(comparisons):
        if any(compared.effect.n for compared in comparisons) and "seed" in found:
            several = len({compared.problem for compared in comparisons}) > 1
            yield Text(
                f"Each optimizer has only one run{' of each problem' * several} that can be "
                "compared, so any difference may be chance. Several seeds can show one: use train "
                "with --seeds 5."
            )
        return
    pairs = "seeds" if "seed" in found else "rounds"
    yield from map(Text, _verdicts(comparisons, labels, pairs))
    problems = len({compared.problem for compared in comparisons})
    if problems == 1:
        yield _table(comparisons, labels, pairs)
        return
    table = _table_of_problems(comparisons, labels, pairs)
    if table is not None:
        yield table
        return
    header, rows = comparing.counts(comparisons, labels, heading)
    yield Table(header, rows[:MOST_ROWS])
    more = f" ... and {len(rows) - MOST_ROWS:,} more." if rows[MOST_ROWS:] else ""
    yield Text(
        f"The columns count the {problems:,} problems in which the optimizer is better, worse, "
        "without a difference that matters, or inconclusive. The median change is over all of "
        f"them.{more}"
    )


def of_search(
    found: pd.DataFrame, comparisons: Sequence[Comparison], labels: Labels
) -> Iterator[Block]:
    """Yield the answer for a search: the best trial, and whether it is better than by chance."""
    done = found[found["status"].notna()]
    for (dataset, model), of_problem in itertools.islice(
        done.groupby(["dataset", "model"], sort=False), MOST_NAMED
    ):
        best = {str(name): trials.best(group) for name, group in of_problem.groupby("optimizer")}
        ranked = sorted(
            ((row, name) for name, row in best.items() if row is not None),
            key=lambda pair: -float(pair[0]["val_accuracy"]),
        )
        if ranked:
            row, name = ranked[0]
            yield Text(
                f"On {dataset} with {model}, the best trial of {labels[name]} has the highest "
                f"validation accuracy, {row['val_accuracy']:.4f}. Its test accuracy is "
                f"{row['test_accuracy']:.4f}."
            )
    if comparing.are_repeated(comparisons):
        yield from map(Text, _verdicts(comparisons, labels, "seeds"))
    else:
        yield Text(
            "Each winner has only one run, so its lead may be chance. Several seeds can show a "
            "better optimizer: use tune with --finalists, or train with --from-tune."
        )


def _not_ok(found: pd.DataFrame, labels: Labels) -> Iterator[str]:
    """Yield, for each optimizer, how many of its runs do not have status ok, and their statuses."""
    for name, group in found.groupby("subject", sort=False):
        bad = group.loc[group["status"] != "ok", "status"]
        if len(bad):
            statuses = ", ".join(bad.unique())
            yield f"{labels[str(name)]} {len(bad):,} of {len(group):,} ({statuses})"


def _first_at_target(
    found: pd.DataFrame, comparisons: Sequence[Comparison], labels: Labels
) -> Iterator[str]:
    """Say which optimizer reached the target first, and which did not reach it."""
    targets = found["target_accuracy"].dropna()
    if targets.empty:
        return
    target = f"{float(targets.iloc[0]):g}"
    seconds = {
        str(name): group["seconds_to_target"].astype("Float64").to_numpy(float, na_value=np.inf)
        for name, group in found.groupby("subject", sort=False)
    }
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    reached = {name: int(np.isfinite(values).sum()) for name, values in seconds.items()}
    first = min(medians, key=lambda name: medians[name])
    if not np.isfinite(medians[first]):
        yield f"No optimizer reached the accuracy of {target} in half of its runs."
        return
    yield (
        f"{labels[first]} reached the accuracy of {target} first, after "
        f"{spell('seconds_to_target', medians[first])} s (median of {len(seconds[first])})."
    )
    verdicts = {
        (c.baseline, c.subject): comparing.kind(c)
        for c in comparisons
        if c.metric.column == "seconds_to_target"
    }
    against = next((b for b, s in verdicts if s == first), None)
    if against is not None and medians[against] > medians[first]:
        shows = "shows" if verdicts[against, first] == "better" else "does not show"
        yield f"The test {shows} that this is sooner than {labels[against]}."
    never = [labels[name] for name, count in reached.items() if not count]
    if never:
        yield f"{_listed(never)} did not reach it in any run."


def _verdicts(comparisons: Sequence[Comparison], labels: Labels, pairs: str) -> Iterator[str]:
    """Say which differences are shown, which are excluded, and which are open."""
    baseline = labels[comparisons[0].baseline]
    by_kind: dict[str, list[Comparison]] = {kind: [] for kind in comparing.KINDS}
    for compared in comparisons:
        by_kind[comparing.kind(compared)].append(compared)
    different = sorted(by_kind["better"] + by_kind["worse"], key=lambda c: c.p_corrected)
    if not different:
        words = f"No difference from {baseline} is shown"
    elif len({compared.problem for compared in comparisons}) > 1:
        words = f"Against {baseline}, {_over_problems(comparisons, labels)}"
    else:
        as_factor = comparing.needs_factors(different)
        words = f"Against {baseline}, " + _listed(
            [
                f"{labels[c.subject]} is {_difference(c)} ({heading(c.metric.column)}{change})"
                for c in different
                for change in [_change(c, as_factor)]
            ]
        )
    yield " ".join([f"{words}.", *_no_differences(by_kind["none"], comparisons, labels)])
    if by_kind["inconclusive"]:
        yield _undecided(by_kind["inconclusive"], len(comparisons), pairs)


def _no_differences(
    none: Sequence[Comparison], among: Sequence[Comparison], labels: Labels
) -> Iterator[str]:
    """Say where optimizers do not differ, with the bound or the number of comparisons."""
    if none and len({compared.problem for compared in among}) > 1:
        exclude = "excludes" if len(none) == 1 else "exclude"
        yield f"{len(none):,} of {len(among):,} comparisons {exclude} a difference that matters."
        return
    for _, group in itertools.groupby(none, lambda c: c.metric.column):
        same = list(group)
        metric, baseline = same[0].metric, labels[same[0].baseline]
        subjects = _listed([labels[c.subject] for c in same])
        do = "does" if len(same) == 1 else "do"
        largest = in_size(metric, max(map(_largest, same)))
        yield f"{subjects} {do} not differ from {baseline} by more than {largest} in "
        yield f"{heading(metric.column)}."


def _over_problems(comparisons: Sequence[Comparison], labels: Labels) -> str:
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for compared in comparisons:
        groups.setdefault((compared.subject, compared.metric.column), []).append(compared)
    words = []
    as_factor = comparing.needs_factors(comparisons)
    for (subject, column), group in groups.items():
        kinds = [comparing.kind(c) for c in group]
        better, worse = kinds.count("better"), kinds.count("worse")
        if better or worse:
            metric = group[0].metric
            is_higher = metric.better == "higher"
            good, bad = (metric.higher, metric.lower)[:: 1 if is_higher else -1]
            parts = [f"{good} in {better}"] if better else []
            parts += [f"{bad} in {worse}"] if worse else []
            change = comparing.median_change(group, as_factor)
            median = f" (median {heading(column)} {change})" if change else ""
            words.append(
                f"{labels[subject]} is {' and '.join(parts)} of {len(group)} problems{median}"
            )
    return _listed(words)


def _undecided(open_ones: Sequence[Comparison], of: int, pairs: str) -> str:
    """Say how many comparisons are open, and how many pairs would decide them."""
    are = "is" if len(open_ones) == 1 else "are"
    n = max(c.pairs for c in open_ones)
    words = f"{len(open_ones):,} of {of:,} comparisons {are} inconclusive with {n} {pairs}"
    if of == 1:
        words = f"The comparison is inconclusive with {n} {pairs}"
    needed = sorted(number for c in open_ones if (number := pairs_to_tell(c)) is not None)
    if not needed:
        return f"{words}."
    if len(open_ones) == 1:
        return f"{words}. About {needed[0]:,} {pairs} would decide."
    half, untold = (len(open_ones) + 1) // 2, len(open_ones) - len(needed)
    all_of_them = f"all but {untold}" if untold else "all"
    if len(needed) <= half or needed[half - 1] == needed[-1]:
        return f"{words}. About {needed[-1]:,} {pairs} would decide {all_of_them}."
    return (
        f"{words}. About {needed[half - 1]:,} {pairs} would decide {half} of them, and about "
        f"{needed[-1]:,} {all_of_them}."
    )


def pairs_to_tell(compared: Comparison) -> int | None:
    """Return about how many pairs would give a verdict: a difference, or none that matters.

    The number is from the estimate and the spread so far, without the correction for many
    comparisons. None if it is unknown.
    """
    if compared.has_losses:
        return None
    effect, margin = compared.effect, compared.metric.margin
    limits = [effect.none]
    if effect.n and abs(effect.estimate - effect.none) < margin:
        limits = [effect.none + (margin if effect.estimate > effect.none else -margin), *limits]
    needed = [n for limit in limits if (n := effect.pairs_to_decide(limit)) is not None]
    return max(min(needed), effect.n + 1) if needed else None


def _table(comparisons: Sequence[Comparison], labels: Labels, pairs: str) -> Table:
    """Return a table of verdicts, with a row for each optimizer, a column for each metric."""
    metrics = list(dict.fromkeys(c.metric.column for c in comparisons))
    by_subject: dict[str, dict[str, Comparison]] = {}
    for compared in comparisons:
        by_subject.setdefault(compared.subject, {})[compared.metric.column] = compared
    factors = {
        column: comparing.needs_factors([c for c in comparisons if c.metric.column == column])
        for column in metrics
    }
    header = (f"against {labels[comparisons[0].baseline]}", *map(heading, metrics))
    rows = [
        (
            labels[subject],
            *(_cell(found[m], pairs, factors[m]) if m in found else "" for m in metrics),
        )
        for subject, found in itertools.islice(by_subject.items(), MOST_ROWS)
    ]
    return Table(header, rows)


def _table_of_problems(
    comparisons: Sequence[Comparison], labels: Labels, pairs: str
) -> Table | None:
    """Return a row for each problem, a column for each optimizer; None if the table is too large.

    The table has room for one metric and one baseline.
    """
    problems = list(dict.fromkeys(c.problem for c in comparisons))
    subjects = list(dict.fromkeys(c.subject for c in comparisons))
    one = {(c.metric.column, c.baseline) for c in comparisons}
    if len(one) > 1 or len(problems) > MOST_ROWS or len(subjects) > MOST_COLUMNS:
        return None
    as_factor = comparing.needs_factors(comparisons)
    cells = {(c.problem, c.subject): _cell(c, pairs, as_factor) for c in comparisons}
    [(column, baseline)] = one
    return Table(
        (f"{heading(column)} against {labels[baseline]}", *(labels[name] for name in subjects)),
        [
            (problem, *(cells.get((problem, subject), "") for subject in subjects))
            for problem in problems
        ],
    )


def _cell(compared: Comparison, pairs: str, as_factor: bool) -> str:
    match comparing.kind(compared):
        case "better" | "worse":
            return f"{_difference(compared)}{_change(compared, as_factor)}"
        case "none":
            size = in_size(compared.metric, _largest(compared), as_factor)
            return f"no difference above {size}"
    needed = pairs_to_tell(compared)
    return "open" if needed is None else f"open; about {needed:,} {pairs}"


def _difference(compared: Comparison) -> str:
    """Return the words of the verdict of a difference."""
    return compared.verdict.removeprefix("difference: ").split(";")[0].split(" (or ")[0]


def _largest(compared: Comparison) -> float:
    """Return the largest difference in the interval."""
    effect = compared.effect
    return max(effect.high - effect.none, effect.none - effect.low)


def _change(compared: Comparison, as_factor: bool) -> str:
    if compared.has_losses:
        return ""
    return f", {in_changes(compared.metric, [compared.effect.estimate], as_factor)}"


def _listed(words: Sequence[str]) -> str:
    shown = list(words[:MOST_NAMED])
    if len(words) > MOST_NAMED:
        return f"{', '.join(shown)} and {len(words) - MOST_NAMED} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
