import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.reports import statistics


def test_the_ratio_of_pairs():
    effect = statistics.ratio([1, 2, 4], [2, 4, 8])
    assert effect.estimate == pytest.approx(2)
    assert effect.low == pytest.approx(2)
    assert effect.seen
    assert statistics.ratio([1, 1], [2, 0.5]).estimate == pytest.approx(1)


def test_equal_pairs_do_not_differ():
    effect = statistics.difference([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    assert (effect.estimate, effect.low, effect.high, effect.p) == (0, 0, 0, 1)
    assert not effect.seen


def test_the_test_is_scipys():
    before, after = np.random.default_rng(0).normal(size=(2, 5))
    assert statistics.difference(before, after).p == pytest.approx(
        stats.ttest_rel(before, after).pvalue
    )


def test_the_interval_is_scipys():
    values = np.random.default_rng(0).normal(size=8)
    expected = stats.bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    assert statistics.bootstrap(values) == pytest.approx(expected, abs=0.02)


def test_one_pair_has_no_interval_and_none_no_number():
    one, none = statistics.difference([1], [3]), statistics.difference([], [])
    assert (one.estimate, one.n, none.n) == (2, 1, 0)
    assert math.isnan(one.low)
    assert math.isnan(one.p)
    assert math.isnan(none.estimate)
    assert not one.seen


def test_no_difference_is_rarely_taken_for_one():
    pairs = np.random.default_rng(0).normal(size=(1000, 2, 3))
    seen = sum(statistics.difference(before, after).seen for before, after in pairs)
    assert 30 < seen < 70  # 5 %


def test_the_spread():
    assert statistics.spread([9, 10, 11]) == pytest.approx(0.1)
    assert statistics.spread([9]) == 0
