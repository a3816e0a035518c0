"""What a few runs say about a difference: interval, test, spread. Numbers in, numbers out."""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # and not scipy.stats, which takes a second to import

CONFIDENCE = 0.95
RESAMPLES = 10_000


@dataclasses.dataclass(frozen=True)
class Effect:
    """How far pairs of runs lie apart: one run of each pair has what the other has not."""

    estimate: float
    """Mean of the differences, or geometric mean of the ratios."""
    low: float
    high: float
    """Bootstrap interval of `estimate`; NaN with one pair."""
    p: float
    """Of the paired t-test, two-sided; NaN with one pair."""
    n: int
    """Pairs; with none, every number is NaN."""

    @property
    def seen(self) -> bool:
        """Whether the test finds a difference."""
        return self.p < 1 - CONFIDENCE


def difference(before: ArrayLike, after: ArrayLike) -> Effect:
    """Return by how much the values `after` exceed those `before`, pair by pair."""
    differences = np.asarray(after, float) - np.asarray(before, float)
    if not len(differences):
        return Effect(math.nan, math.nan, math.nan, math.nan, 0)
    low, high = bootstrap(differences)
    return Effect(differences.mean(), low, high, paired_t_test(differences), len(differences))


def ratio(before: ArrayLike, after: ArrayLike) -> Effect:
    """Return how many times as large the values `after` are as those `before`, pair by pair.

    All values are above 0. The mean and the test are those of the logarithms,
    so that a half and a double cancel out.
    """
    log = difference(np.log(before), np.log(after))
    return Effect(math.exp(log.estimate), math.exp(log.low), math.exp(log.high), log.p, log.n)


def bootstrap(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean; the resamples are always the same.

    Of few values it is narrower than it should be, and of one there is none (NaN).
    """
    if len(values) < 2:
        return math.nan, math.nan
    picks = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(
        values[picks].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    )
    return float(low), float(high)


def paired_t_test(differences: NDArray[np.float64]) -> float:
    """Return the probability of so large a mean difference if there were none.

    A test of ranks would ask less of the differences, but can reach 5 % with no
    fewer than six pairs; three seeds are what people run.
    """
    n = len(differences)
    if n < 2:
        return math.nan
    mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(n)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * special.stdtr(n - 1, -abs(mean / error)))


def spread(values: ArrayLike) -> float:
    """Return the standard deviation as a fraction of the mean; 0 for fewer than two values."""
    values = np.asarray(values, float)
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 else 0.0
