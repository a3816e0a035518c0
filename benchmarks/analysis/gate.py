"""Whether a regression of a given size is excluded, shown, or neither.

The words are those of a test of non-inferiority. "Excluded": the end of the 95 %
interval that is for the worse lies on this side of the size. "Shown": the
estimate lies beyond it, and a test says that this is no chance, corrected for
all comparisons by Holm's method.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from benchmarks.analysis.comparison import Comparison
from benchmarks.analysis.metrics import in_changes
from benchmarks.analysis.statistics import CONFIDENCE, holm, sign_test

State = Literal["excluded", "shown", "inconclusive"]

EXIT_CODES: dict[State, int] = {"excluded": 0, "shown": 1, "inconclusive": 3}
"""Of a command; 2 is that of bad input."""

OF_TRAINING = ("target missed", "diverged", "not measured")
"""What is no failure: chance can bring it about. A run that is lost otherwise has failed."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is known about a regression in one comparison."""

    comparison: Comparison
    state: State
    reason: str


def judge(comparisons: Sequence[Comparison], size: float) -> list[Outcome]:
    """Say of each comparison whether a regression of more than `size` is excluded or shown.

    Args:
        comparisons: all of an output.
        size: as a fraction, 0.05 for 5 %; of an accuracy, the difference.
    """
    limits = [_limit(compared, size) for compared in comparisons]
    p_values = holm(
        [
            compared.effect.p_against(limit) if limit is not None else np.nan
            for compared, limit in zip(comparisons, limits, strict=True)
        ]
    )
    p_of_losses = _p_of_losses(comparisons)
    return [
        _judge(compared, limit, float(p), p_of_losses.get(_losses(compared), 1.0))
        for compared, limit, p in zip(comparisons, limits, p_values, strict=True)
    ]


def overall(outcomes: Sequence[Outcome]) -> State:
    """Return the state of all: shown if any is, excluded if all are."""
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


_Losses = tuple[str, str, str, int, int]


def _losses(compared: Comparison) -> _Losses:
    """Return what was lost and gained where: the same for all metrics of runs that diverged."""
    missed = sum(compared.lost.values())
    return compared.problem, compared.baseline, compared.subject, missed, compared.gained


def _p_of_losses(comparisons: Sequence[Comparison]) -> dict[_Losses, float]:
    """Return p of the sign test where more was lost than gained, corrected by Holm's method."""
    found = dict.fromkeys(map(_losses, comparisons))
    uneven = [losses for losses in found if losses[-2] > losses[-1]]
    p_values = holm([sign_test(*losses[-2:]) for losses in uneven])
    return dict(zip(uneven, p_values.tolist(), strict=True))


def _judge(compared: Comparison, limit: float | None, p: float, p_of_losses: float) -> Outcome:
    failed = sum(count for what, count in compared.lost.items() if what not in OF_TRAINING)
    if failed:
        return Outcome(compared, "shown", f"failed, and did not before: {failed}")
    missed = sum(compared.lost.values())
    if missed > compared.gained:
        words = f"{missed} runs without a value, {compared.gained} the other way"
        if p_of_losses < 1 - CONFIDENCE:
            return Outcome(compared, "shown", words)
        if compared.effect.n < 2 or _is_excluded(compared, limit):
            return Outcome(compared, "inconclusive", f"{words}: may be chance")
    effect, metric = compared.effect, compared.metric
    if limit is None:
        return Outcome(compared, "excluded", "")
    if not effect.n and not missed:
        return Outcome(compared, "excluded", "the baseline has no value")
    if effect.n < 2:
        return Outcome(
            compared, "inconclusive", f"pairs of runs: {effect.n}, at least 2 are needed"
        )
    interval = in_changes(metric, [effect.low, effect.high])
    if _is_excluded(compared, limit):
        return Outcome(compared, "excluded", interval)
    is_beyond = effect.estimate < limit if metric.better == "higher" else effect.estimate > limit
    if is_beyond and p < 1 - CONFIDENCE:
        return Outcome(compared, "shown", interval)
    needed = effect.pairs_to_decide(limit)
    if needed is None:
        advice = "the estimate lies so near to the limit that more seeds would not decide"
    else:
        advice = f"about {max(needed, effect.n + 1)} seeds would decide"
    return Outcome(compared, "inconclusive", f"{interval}; {advice}")


def _is_excluded(compared: Comparison, limit: float | None) -> bool:
    if limit is None:
        return True
    effect = compared.effect
    return effect.low >= limit if compared.metric.better == "higher" else effect.high <= limit
