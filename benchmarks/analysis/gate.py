"""Whether a regression of a given size is excluded, shown, or neither.

The words are those of a test of non-inferiority. A regression is "excluded" if the worse end of the
95 % interval does not reach the size. It is "shown" if the estimate lies beyond the size and a test
excludes chance, corrected for all comparisons by Holm's method. If runs were lost there is no
interval, and the signs of the pairs are used instead, as for the verdicts.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from benchmarks.analysis.metrics import NOT_MEASURED, in_changes
from benchmarks.analysis.statistics import CONFIDENCE
from benchmarks.analysis.verdict import Comparison, correct

State = Literal["excluded", "shown", "inconclusive"]

EXIT_CODES: dict[State, int] = {"excluded": 0, "shown": 1, "inconclusive": 3}
"""The exit codes of a command; 2 means bad input."""

OF_TRAINING = ("target missed", "diverged", NOT_MEASURED)
"""The losses that chance can cause. A run that is lost for another reason has failed."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The state of a regression in one comparison."""

    comparison: Comparison
    state: State
    reason: str


def judge(comparisons: Sequence[Comparison], size: float) -> list[Outcome]:
    """Say for each comparison whether a regression of more than `size` is excluded or shown.

    Args:
        comparisons: all comparisons of an output.
        size: as a fraction, 0.05 for 5 %; for an accuracy, as a difference.
    """
    limits = [_limit(compared, size) for compared in comparisons]
    p, p_losses, _ = correct(comparisons, limits)
    return [_judge(*each) for each in zip(comparisons, limits, p, p_losses, strict=True)]


def overall(outcomes: Sequence[Outcome]) -> State:
    """Return the state of all outcomes: shown if any is shown, excluded if all are excluded."""
    states = {outcome.state for outcome in outcomes}
    if "shown" in states:
        return "shown"
    return "inconclusive" if "inconclusive" in states else "excluded"


def _limit(compared: Comparison, size: float) -> float | None:
    """Return the effect that is a regression of `size`; None if there can be none."""
    if compared.metric.scale == "difference":
        return -size if compared.metric.better == "higher" else size
    limit = 1 - size if compared.metric.better == "higher" else 1 + size
    return limit if limit > 0 else None


def _judge(compared: Comparison, limit: float | None, p: float, p_losses: float) -> Outcome:
    failed = sum(count for what, count in compared.lost.items() if what not in OF_TRAINING)
    if failed:
        return Outcome(compared, "shown", f"pairs in which only the subject failed: {failed}")
    if not compared.effect.n and not compared.losses:
        return Outcome(compared, "excluded", "the baseline has no value")
    if compared.has_losses:
        return _by_signs(compared, limit, p, p_losses)
    return _by_interval(compared, limit, p)


def _by_signs(compared: Comparison, limit: float | None, p: float, p_losses: float) -> Outcome:
    lost, gained = compared.losses, compared.gained
    words = f"pairs in which only the subject has no value: {lost}, only the baseline: {gained}"
    if lost > gained and p_losses < 1 - CONFIDENCE:
        return Outcome(compared, "shown", words)
    if limit is None:
        state: State = "excluded" if lost <= gained else "inconclusive"
        return Outcome(compared, state, words)
    worse, better = compared.signs(limit)
    words += f"; worse than the limit in {worse} of {worse + better} pairs"
    if worse > better and p < 1 - CONFIDENCE:
        return Outcome(compared, "shown", words)
    is_better = better > worse and compared.p_against(limit) < 1 - CONFIDENCE
    if is_better and lost <= gained:
        return Outcome(compared, "excluded", words)
    return Outcome(compared, "inconclusive", f"{words}: may be chance")


def _by_interval(compared: Comparison, limit: float | None, p: float) -> Outcome:
    effect, metric = compared.effect, compared.metric
    if limit is None:
        return Outcome(compared, "excluded", "")
    if effect.n < 2:
        return Outcome(
            compared, "inconclusive", f"pairs of runs: {effect.n}, at least 2 are needed"
        )
    interval = in_changes(metric, [effect.low, effect.high], as_factor=False)
    is_higher_better = metric.better == "higher"
    if effect.low >= limit if is_higher_better else effect.high <= limit:
        return Outcome(compared, "excluded", interval)
    is_beyond = effect.estimate < limit if is_higher_better else effect.estimate > limit
    if is_beyond and p < 1 - CONFIDENCE:
        return Outcome(compared, "shown", interval)
    needed = effect.pairs_to_decide(limit)
    if needed is None:
        advice = "the estimate lies so near to the limit that more seeds would not decide"
    else:
        advice = f"about {max(needed, effect.n + 1)} seeds would decide"
    return Outcome(compared, "inconclusive", f"{interval}; {advice}")
