"""A difference from a few pairs of runs: estimate, interval and test, as numbers.

The interval is Student's, and belongs to the paired t-test. It excludes "no difference" exactly
when p is below 5 %.
"""

import bisect
import dataclasses
import math

import numpy as np
import scipy  # imports `scipy.special` at its first use; `scipy.stats` would take a second
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
POWER = 0.8
"""The probability that as many pairs as `pairs_to_decide` returns are enough to decide."""
MOST_PAIRS = 10_000
"""The largest number of pairs that is advised."""


@dataclasses.dataclass(frozen=True)
class Effect:
    """An effect, from pairs of runs.

    The two runs of a pair differ in one thing, such as the optimizer, and agree in all others.
    """

    mean: float
    """The mean of the differences, or of the logarithms of ratios; NaN without a pair."""
    deviation: float
    """The standard deviation of the differences, at least that of rounding; NaN with one pair."""
    n: int
    """The number of pairs."""
    is_ratio: bool
    """Whether `mean` is a mean of logarithms. If so, the properties below are ratios."""
    differences: tuple[float, ...] = dataclasses.field(default=(), repr=False)
    """The difference in each pair, or the logarithm of the ratio."""

    @property
    def none(self) -> float:
        """The value of no effect: 1 for a ratio, 0 for a difference."""
        return 1.0 if self.is_ratio else 0.0

    @property
    def estimate(self) -> float:
        """The mean of the differences, or the geometric mean of the ratios."""
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
        """The two-sided p of the paired t-test against no effect; NaN with one pair."""
        return self.p_against(self.none)

    def p_against(self, value: float) -> float:
        """Return the probability of an estimate at least so far from `value`, if `value` were true.

        It is the two-sided p of the paired t-test. NaN with one pair, or if the deviation is 0 and
        the estimate is not `value`.
        """
        distance = abs(self.mean - self._inside(value))
        if self.n < 2:
            return math.nan
        if self.deviation == 0:
            return 1.0 if distance == 0 else math.nan  # the spread is not known
        return float(2 * scipy.special.stdtr(self.n - 1, -distance / self._error()))

    def signs(self, value: float) -> tuple[int, int]:
        """Return the number of pairs with an effect above `value`, and below it."""
        inside = self._inside(value)
        return sum(d > inside for d in self.differences), sum(d < inside for d in self.differences)

    def pairs_to_decide(self, value: float) -> int | None:
        """Return the number of pairs that would show on which side of `value` the effect lies.

        They would show it in four of five cases. The number is rough, because it is from the
        estimate and the spread so far. None if there are too few pairs, or if more than
        `MOST_PAIRS` would be needed.
        """
        distance = abs(self.mean - self._inside(value))
        if self.n < 2 or not self.deviation > 0:
            return None
        confidence = (1 + CONFIDENCE) / 2

        def is_enough(n: int) -> bool:
            t = scipy.special.stdtrit(n - 1, confidence) + scipy.special.stdtrit(n - 1, POWER)
            return bool(t * self.deviation <= distance * math.sqrt(n))

        pairs = range(2, MOST_PAIRS + 1)
        place = bisect.bisect_left(pairs, True, key=is_enough)
        return pairs[place] if place < len(pairs) else None

    def _error(self) -> float:
        return self.deviation / math.sqrt(self.n)

    def _half_width(self) -> float:
        if self.n < 2:
            return math.nan
        return float(scipy.special.stdtrit(self.n - 1, (1 + CONFIDENCE) / 2)) * self._error()

    def _outside(self, value: float) -> float:
        # The end of an interval of two pairs may be too large for a float.
        return float(np.exp(np.clip(value, -700, 700))) if self.is_ratio else value

    def _inside(self, value: float) -> float:
        return math.log(value) if self.is_ratio else value


def difference(before: ArrayLike, after: ArrayLike, floor: float = 0.0) -> Effect:
    """Return by how much the values `after` exceed those `before`, pair by pair.

    Args:
        before: one value for each pair.
        after: one value for each pair.
        floor: least standard deviation of a difference, see `rounding`. Without it, equal
        differences would count as certain.
    """
    return _effect(np.asarray(after, float) - np.asarray(before, float), floor, is_ratio=False)


def ratio(before: ArrayLike, after: ArrayLike, floor: float = 0.0) -> Effect:
    """Return the values `after` divided by the values `before`, pair by pair.

    All values are above 0. Mean, interval and test are computed from the logarithms, so that a half
    and a double cancel out. `floor` is the least standard deviation of the logarithms' differences.
    """
    logarithms = np.log(np.asarray(after, float)) - np.log(np.asarray(before, float))
    return _effect(logarithms, floor, is_ratio=True)


def rounding(before: ArrayLike, after: ArrayLike) -> float:
    """Return the standard deviation that rounding alone gives to a difference.

    A value that is rounded to steps of r has a uniform error of variance r^2 / 12. The variances of
    both values add up.

    Args:
        before: the step r of each value (for ratios, as a fraction of the value).
        after: the same.
    """
    squares = np.square(np.asarray(before, float)) + np.square(np.asarray(after, float))
    return float(np.sqrt(squares.mean() / 12)) if squares.size else 0.0


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return the p-values, corrected for their number by Holm's method; NaN is not counted.

    If no test has a true effect, a corrected p below 5 % has a probability of at most 5 %.

    Reference: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN comes last
    corrected = np.full(p.shape, np.nan)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return corrected


def sign_test(lost: int, gained: int) -> float:
    """Return the two-sided probability of counts so uneven, if both sides were equally likely."""
    tail = scipy.special.bdtr(min(lost, gained), lost + gained, 0.5)
    return min(1.0, 2 * float(tail))


def spread(values: ArrayLike) -> float:
    """Return the standard deviation as a fraction of the mean; 0 for fewer than two values."""
    values = np.asarray(values, float)
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 else 0.0


def _effect(differences: NDArray[np.float64], floor: float, is_ratio: bool) -> Effect:
    n = len(differences)
    mean = float(differences.mean()) if n else math.nan
    deviation = max(float(differences.std(ddof=1)), floor) if n > 1 else math.nan
    # A difference only in the last digit is not a spread.
    if n > 1 and np.ptp(differences) <= 1e-12 * max(1.0, abs(mean)):
        deviation = floor
    return Effect(mean, deviation, n, is_ratio, tuple(differences.tolist()))
