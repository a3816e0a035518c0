"""What a few pairs of runs say about a difference: estimate, interval, test. Numbers in and out.

The interval is Student's, and belongs to the paired t-test beside it: it leaves
out "no difference" exactly when p is below 5 %.
"""

import bisect
import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # and not scipy.stats, which takes a second to import

CONFIDENCE = 0.95
POWER = 0.8
"""The chance with which the number of pairs that `pairs_to_decide` names decides."""
MOST_PAIRS = 10_000
"""Above that, more pairs are no advice."""


@dataclasses.dataclass(frozen=True)
class Effect:
    """How far pairs of runs lie apart: one run of each pair has what the other has not."""

    mean: float
    """Of the differences; of ratios, of their logarithms. NaN without a pair."""
    deviation: float
    """Standard deviation of the differences, at least what rounding gives; NaN with one pair."""
    n: int
    """Pairs."""
    is_ratio: bool
    """Whether `mean` is that of logarithms: then the properties below are ratios."""
    differences: tuple[float, ...] = dataclasses.field(default=(), repr=False)
    """Pair by pair; of ratios, of their logarithms."""

    @property
    def none(self) -> float:
        """The value of no effect: 1 for a ratio, 0 for a difference."""
        return 1.0 if self.is_ratio else 0.0

    @property
    def estimate(self) -> float:
        """Mean of the differences, or geometric mean of the ratios."""
        return self._outside(self.mean)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval; NaN with one pair."""
        return self._outside(self.mean - self._half_width())

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval; NaN with one pair."""
        return self._outside(self.mean + self._half_width())

    @property
    def p(self) -> float:
        """Of the paired t-test, two-sided, that there is no effect; NaN with one pair."""
        return self.p_against(self.none)

    def p_against(self, value: float) -> float:
        """Return the probability of an estimate so far from `value` if that were the truth."""
        distance = abs(self.mean - self._inside(value))
        if self.n < 2:
            return math.nan
        if self.deviation == 0:
            return 1.0 if distance == 0 else math.nan  # no spread known: nothing to judge by
        return float(2 * special.stdtr(self.n - 1, -distance / self._error()))

    def signs(self, value: float) -> tuple[int, int]:
        """Return in how many pairs the effect lies above, and below, `value`."""
        inside = self._inside(value)
        return sum(d > inside for d in self.differences), sum(d < inside for d in self.differences)

    def pairs_to_decide(self, value: float) -> int | None:
        """Return how many pairs would show, four times in five, on which side of `value` it lies.

        From the estimate and the spread so far, so a rough number. None if there are
        too few pairs to say, or it would take more than `MOST_PAIRS`.
        """
        distance = abs(self.mean - self._inside(value))
        if self.n < 2 or not self.deviation > 0:
            return None
        confidence = (1 + CONFIDENCE) / 2

        def is_enough(n: int) -> bool:
            t = special.stdtrit(n - 1, confidence) + special.stdtrit(n - 1, POWER)
            return bool(t * self.deviation <= distance * math.sqrt(n))

        pairs = range(2, MOST_PAIRS + 1)
        place = bisect.bisect_left(pairs, True, key=is_enough)
        return pairs[place] if place < len(pairs) else None

    def _error(self) -> float:
        return self.deviation / math.sqrt(self.n)

    def _half_width(self) -> float:
        if self.n < 2:
            return math.nan
        return float(special.stdtrit(self.n - 1, (1 + CONFIDENCE) / 2)) * self._error()

    def _outside(self, value: float) -> float:
        # An interval of two pairs can end beyond every float.
        return float(np.exp(np.clip(value, -700, 700))) if self.is_ratio else value

    def _inside(self, value: float) -> float:
        return math.log(value) if self.is_ratio else value


def difference(before: ArrayLike, after: ArrayLike, floor: float = 0.0) -> Effect:
    """Return by how much the values `after` exceed those `before`, pair by pair.

    Args:
        before: a value each pair.
        after: a value each pair.
        floor: least standard deviation of a difference, see `rounding`. Without
            it, equal differences would be called certain.
    """
    return _effect(np.asarray(after, float) - np.asarray(before, float), floor, is_ratio=False)


def ratio(before: ArrayLike, after: ArrayLike, floor: float = 0.0) -> Effect:
    """Return how many times as large the values `after` are as those `before`, pair by pair.

    All values are above 0. Mean, interval and test are those of the logarithms,
    so that a half and a double cancel out; `floor` is of their differences.
    """
    logarithms = np.log(np.asarray(after, float)) - np.log(np.asarray(before, float))
    return _effect(logarithms, floor, is_ratio=True)


def rounding(before: ArrayLike, after: ArrayLike) -> float:
    """Return the standard deviation that rounding alone gives to a difference.

    A value that is rounded to steps of r is off by a uniform error, of variance
    r^2 / 12; the errors of both add up.

    Args:
        before: the step r of each value (of ratios: as a fraction of the value).
        after: the same.
    """
    squares = np.square(np.asarray(before, float)) + np.square(np.asarray(after, float))
    return float(np.sqrt(squares.mean() / 12)) if squares.size else 0.0


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return the p-values, corrected for their number by Holm's method; NaN stays, uncounted.

    Of tests without a true effect, the chance that any has a corrected p below 5 % is 5 %.

    Reference: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN comes last
    corrected = np.full(p.shape, np.nan)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return corrected


def sign_test(lost: int, gained: int) -> float:
    """Return the probability, two-sided, of so uneven counts if both were equally likely."""
    tail = special.bdtr(min(lost, gained), lost + gained, 0.5)
    return min(1.0, 2 * float(tail))


def spread(values: ArrayLike) -> float:
    """Return the standard deviation as a fraction of the mean; 0 for fewer than two values."""
    values = np.asarray(values, float)
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 else 0.0


def _effect(differences: NDArray[np.float64], floor: float, is_ratio: bool) -> Effect:
    n = len(differences)
    mean = float(differences.mean()) if n else math.nan
    deviation = max(float(differences.std(ddof=1)), floor) if n > 1 else math.nan
    # Equal differences differ in their last digit: that is no spread.
    if n > 1 and np.ptp(differences) <= 1e-12 * max(1.0, abs(mean)):
        deviation = floor
    return Effect(mean, deviation, n, is_ratio, tuple(differences.tolist()))
