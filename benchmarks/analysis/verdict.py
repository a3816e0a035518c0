"""The verdict on two series of runs in one metric: test, correction, and words.

A run without a result counts as worse than any run with a result. If there is such a run, there is
no interval, and a sign test replaces the t-test: it counts the pairs in which the subject is better
or worse, not by how much. Another sign test asks whether the subject is lost more often.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks.analysis.metrics import NOT_MEASURED, Metric, in_changes, in_size, is_far
from benchmarks.analysis.statistics import CONFIDENCE, Effect, holm, sign_test


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One metric of two series of runs, paired by their seeds or rounds."""

    problem: str
    """The options that all runs share, in words."""
    baseline: str
    subject: str
    """The compared optimizer, or the optimizer and its folder."""
    metric: Metric
    mean_baseline: float
    mean_subject: float
    """The mean over the pairs with both values; for a ratio, the geometric mean. The effect is the
    ratio or the difference of the two means."""
    effect: Effect
    """The effect in the pairs with both values."""
    lost: Counter[str]
    """The number of pairs in which only `baseline` has a value, for each reason why `subject` has
    none."""
    gained: int
    """The number of pairs in which only `subject` has a value, because `baseline` was lost."""
    alone: int
    """The number of seeds that only one side was run with."""
    two_sessions: bool
    """Whether all runs of one side began after all runs of the other; machines drift over time."""
    both_lost: int = 0
    """The number of pairs in which both runs were lost."""
    p_corrected: float = np.nan
    """`p`, corrected for all tests that the folders allow; see `correct`."""
    p_losses_corrected: float = np.nan
    """`p_losses`, corrected in the same way."""
    tests: int = 0
    """The number of tests of values."""

    @functools.cached_property
    def losses(self) -> int:
        """The number of pairs in which only the subject was lost: it diverged, missed or failed."""
        return sum(count for what, count in self.lost.items() if what != NOT_MEASURED)

    @property
    def pairs(self) -> int:
        """The number of pairs that count: both runs have a value, or a run was lost."""
        return self.effect.n + self.losses + self.gained + self.both_lost

    @property
    def has_losses(self) -> bool:
        """Whether any run of either side was lost, so that signs are used."""
        return bool(self.losses or self.gained or self.both_lost)

    def signs(self, value: float) -> tuple[int, int]:
        """Return in how many pairs the subject is worse than `value`, and in how many better.

        A pair counts for neither if it equals `value`, if both runs were lost, or if a value was
        not measured.
        """
        above, below = self.effect.signs(value)
        worse, better = (below, above) if self.metric.better == "higher" else (above, below)
        return worse + self.losses, better + self.gained

    def p_against(self, value: float) -> float:
        """Return the two-sided probability of such pairs if `value` were the true effect.

        It is the p of the t-test; if runs were lost, that of the sign test. NaN if there is nothing
        to test.
        """
        if not self.has_losses:
            return self.effect.p_against(value)
        return sign_test(*self.signs(value))

    @property
    def p_losses(self) -> float:
        """The p of the sign test that both sides are lost equally often; NaN if no run was lost."""
        if not self.losses and not self.gained:
            return np.nan
        return sign_test(self.losses, self.gained)

    def is_all_losses(self, value: float | None) -> bool:
        """Whether a test against `value` would count the same pairs as the test of losses."""
        losses = self.losses, self.gained
        return any(losses) and (value is None or losses == self.signs(value))

    @property
    def p(self) -> float:
        """Return `p_against` no effect."""
        return self.p_against(self.effect.none)

    @property
    def is_different(self) -> bool:
        """Whether a test shows, after correction, that the subject is better or worse."""
        return self.p_corrected < 1 - CONFIDENCE

    @property
    def is_lost_more_or_less(self) -> bool:
        """Whether a test shows, after correction, that the subject is lost more or less often."""
        return self.losses != self.gained and self.p_losses_corrected < 1 - CONFIDENCE

    @property
    def is_better(self) -> bool:
        """Whether the subject is better than the baseline."""
        if self.has_losses:
            worse, better = self.signs(self.effect.none)
            return better > worse
        return (self.effect.estimate > self.effect.none) == (self.metric.better == "higher")

    @property
    def verdict(self) -> str:
        """One of "difference: ...", "no difference larger than x" and "inconclusive ..."."""
        return self.spelled()

    def spelled(self, as_factor: bool = False) -> str:
        """Return the verdict, with sizes written by `in_size`."""
        words = self._without_counts(as_factor)
        for status, count in self.lost.items():
            words += f"; {count} lost ({status})" if status != NOT_MEASURED else ""
        if self.gained:
            words += f"; {self.gained} gained"
        if self.both_lost:
            words += f"; {self.both_lost} lost by both"
        if self.lost[NOT_MEASURED]:
            words += f"; {self.lost[NOT_MEASURED]} {NOT_MEASURED}"
        if self.alone:
            words += f"; {self.alone} without a partner"
        return words

    def _without_counts(self, as_factor: bool) -> str:
        effect, metric = self.effect, self.metric
        if not self.has_losses and effect.n < 2:
            return "inconclusive: " + ("one pair" if effect.n else "no pair")
        if self.is_different:
            is_higher = self.is_better == (metric.better == "higher")
            words = f"difference: {metric.higher if is_higher else metric.lower}"
            if metric.is_timing and self.two_sessions and effect.n:
                words += " (or a drift between the two sessions)"
            if self.has_losses:
                words += f", {self._in_pairs()}"
                if self.is_better and self.is_lost_more_or_less and self.losses > self.gained:
                    words += ", but lost more often"
            return words
        if self.has_losses:
            if self.is_lost_more_or_less:
                often = "more" if self.losses > self.gained else "less"
                return f"difference: lost {often} often, {self._in_pairs()}"
            if self.p < 1 - CONFIDENCE:
                return f"inconclusive: p {self.p_corrected:.2g} among all comparisons"
            return f"inconclusive: {self._in_pairs()}"
        largest = max(effect.high - effect.none, effect.none - effect.low)
        if largest <= metric.margin:
            return f"no difference larger than {in_size(metric, largest, as_factor)}"
        if effect.p < 1 - CONFIDENCE:
            return f"inconclusive: p {self.p_corrected:.2g} among all comparisons"
        return "inconclusive"

    def _in_pairs(self) -> str:
        worse, better = self.signs(self.effect.none)
        return f"better in {better} of {worse + better} pairs"


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Correct the p of all comparisons of an output for their number; see `correct`."""
    p, p_losses, tests = correct(comparisons, [compared.effect.none for compared in comparisons])
    return [
        dataclasses.replace(compared, p_corrected=one, p_losses_corrected=of_losses, tests=tests)
        for compared, one, of_losses in zip(comparisons, p, p_losses, strict=True)
    ]


def correct(
    comparisons: Sequence[Comparison], values: Sequence[float | None]
) -> tuple[list[float], list[float], int]:
    """Test each comparison against a value, and its losses; correct for the number of tests.

    Tests of values and tests of losses are corrected separately. A few lost runs cannot give a very
    small p, and a correction for the many tests of values would hide them. If there are both kinds,
    each p is doubled. So if there is no true effect, the probability that a test of either kind
    finds one is at most 5 %.

    Args:
        comparisons: all comparisons.
        values: the effect that each is tested against; None leaves this test out.

    Returns:
        The corrected p of the tests of values, the corrected p of the tests of losses, and the
        number of tests of values. A run that diverged is lost in every metric; all of these
        metrics together have one test of losses.
    """
    pairs = list(zip(comparisons, values, strict=True))
    of_values = [
        np.nan if value is None or c.is_all_losses(value) else c.p_against(value)
        for c, value in pairs
    ]
    keys = [(c.problem, c.baseline, c.subject, c.losses, c.gained) for c in comparisons]
    of_losses = {key: c.p_losses for key, c in zip(keys, comparisons, strict=True)}
    tests = int(np.isfinite(of_values).sum())
    kinds = 2 if tests and np.isfinite(list(of_losses.values())).any() else 1

    def for_all(p: list[float]) -> list[float]:
        found: list[float] = np.minimum(kinds * holm(p), 1).tolist()
        return found

    p_losses = dict(zip(of_losses, for_all(list(of_losses.values())), strict=True))
    p = [
        p_losses[key] if c.is_all_losses(value) else one
        for key, (c, value), one in zip(keys, pairs, for_all(of_values), strict=True)
    ]
    return p, [p_losses[key] for key in keys], tests


def in_words(compared: Comparison, as_factor: bool | None = None) -> tuple[str, str, str, str, str]:
    """Return the effect, its interval, p, p corrected and the verdict as text; see `in_changes`."""
    effect, metric = compared.effect, compared.metric
    has_interval = effect.n > 1 and not compared.has_losses
    if as_factor is None:
        numbers = [effect.estimate, effect.low, effect.high] if has_interval else [effect.estimate]
        as_factor = is_far(metric, numbers)
    estimate = in_changes(metric, [effect.estimate], as_factor) if effect.n else ""
    interval = in_changes(metric, [effect.low, effect.high], as_factor) if has_interval else ""
    verdict = compared.spelled(as_factor)
    return estimate, interval, _p(compared.p), _p(compared.p_corrected), verdict


def _p(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}" if value >= 1e-99 else "< 1e-99"
