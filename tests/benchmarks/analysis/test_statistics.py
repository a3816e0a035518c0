import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.analysis import statistics


def test_the_ratio_of_pairs():
    effect = statistics.ratio([1, 2, 4], [2, 4.1, 7.9])
    assert effect.estimate == pytest.approx(stats.gmean([2, 2.05, 7.9 / 4]))
    assert effect.low < effect.estimate < effect.high
    assert statistics.ratio([1, 1], [2, 0.5]).estimate == pytest.approx(1)


def test_the_test_and_the_interval_are_scipys():
    before, after = np.random.default_rng(0).normal(size=(2, 5))
    effect = statistics.difference(before, after)
    expected = stats.ttest_rel(after, before)
    assert effect.p == pytest.approx(expected.pvalue)
    assert (effect.low, effect.high) == pytest.approx(expected.confidence_interval())
    assert effect.p_against(0.5) == pytest.approx(stats.ttest_1samp(after - before, 0.5).pvalue)


@pytest.mark.parametrize(("n", "is_ratio"), [(2, False), (3, False), (3, True), (10, False)])
def test_95_of_100_intervals_hold_the_truth(n, is_ratio):
    """The percentile bootstrap of an earlier version contained it in 50, 77 and 92 of 100."""
    generator = np.random.default_rng(n)
    count = 4000
    before, after = generator.normal([[[0.0]], [[0.3]]], 0.1, (2, count, n))
    if is_ratio:
        effects = [
            statistics.ratio(*pair) for pair in zip(np.exp(before), np.exp(after), strict=True)
        ]
        truth = math.exp(0.3)
    else:
        effects = [statistics.difference(*pair) for pair in zip(before, after, strict=True)]
        truth = 0.3
    held = sum(effect.low <= truth <= effect.high for effect in effects) / count
    assert 0.93 <= held <= 0.97


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_leaves_out_no_effect_exactly_when_p_is_below_5_percent(n):
    pairs = np.random.default_rng(0).normal(1, 0.3, size=(500, 2, n))
    for before, after in pairs:
        effect = statistics.ratio(np.exp(before), np.exp(after))
        assert (effect.p < 0.05) == (not effect.low <= 1 <= effect.high)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_rounded_values_are_covered_too(n):
    """Accuracies on 100 images, whose differences are often equal: 0, 1 or 2 images."""
    generator = np.random.default_rng(n)
    truth, held, count = 0.004, 0, 3000
    for _ in range(count):
        before = generator.normal(0.95, 0.003, n)
        after = before + generator.normal(truth, 0.003, n)
        floor = statistics.rounding(np.full(n, 0.01), np.full(n, 0.01))
        effect = statistics.difference(np.round(before, 2), np.round(after, 2), floor)
        held += effect.low <= truth <= effect.high
    assert held / count >= 0.93


def test_equal_differences_are_no_certainty():
    """Two seeds both need one epoch of 468 steps more; in an earlier version p was 0."""
    bare = statistics.ratio([936, 936], [1404, 1404])
    assert math.isnan(bare.p)
    floor = statistics.rounding([468 / 936] * 2, [468 / 1404] * 2)
    two = statistics.ratio([936, 936], [1404, 1404], floor)
    assert two.estimate == pytest.approx(1.5)
    assert 0.1 < two.p < 1
    assert two.low < 1 < two.high
    ten = statistics.ratio([936] * 10, [1404] * 10, floor)
    assert ten.p < 0.001


def test_equal_pairs_do_not_differ():
    effect = statistics.difference([0.5, 0.6, 0.7], [0.5, 0.6, 0.7], floor=0.001)
    assert (effect.estimate, effect.p) == (0, 1)
    assert effect.low == pytest.approx(-0.00248, abs=1e-5)


def test_one_pair_has_no_interval_and_none_no_number():
    one, none = statistics.difference([1], [3]), statistics.difference([], [])
    assert (one.estimate, one.n, none.n) == (2, 1, 0)
    for value in (one.low, one.p, none.estimate, none.high, none.p):
        assert math.isnan(value)
    assert one.pairs_to_decide(0) is None


def test_two_pairs_may_have_an_interval_without_end():
    effect = statistics.ratio([1, 1], [1e-30, 1e30])
    assert effect.low == pytest.approx(0)
    assert math.isfinite(effect.high)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_no_difference_is_rarely_taken_for_one(n):
    pairs = np.random.default_rng(n).normal(size=(2000, 2, n))
    seen = sum(statistics.difference(before, after).p < 0.05 for before, after in pairs)
    assert 70 < seen < 130  # 5 %


def test_the_correction_is_holms():
    # The example of Wikipedia's article: alpha 5 %, and only the first and the last are rejected.
    found = statistics.holm([0.01, 0.04, math.nan, 0.03, 0.005])
    assert found[[0, 1, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert math.isnan(found[2])
    assert statistics.holm([0.9, 0.8]).tolist() == [1, 1]


def test_twenty_tests_of_nothing_seldom_find_something():
    p = np.random.default_rng(0).uniform(size=(2000, 20))
    assert (p < 0.05).any(axis=1).mean() > 0.6
    assert 0.03 < np.mean([(statistics.holm(row) < 0.05).any() for row in p]) < 0.07


def test_the_number_of_pairs_that_decides():
    """With this number, four of five studies find on which side of the value the truth lies."""
    generator = np.random.default_rng(0)
    first = statistics.Effect(0.10, 0.05, 3, is_ratio=False)
    n = first.pairs_to_decide(0.05)
    studies = generator.normal(0.10, 0.05, (2000, n))
    decided = sum(
        statistics.difference(np.zeros(n), study).p_against(0.05) < 0.05 for study in studies
    )
    assert 0.75 < decided / 2000 < 0.85
    assert statistics.Effect(0.05, 0.05, 3, is_ratio=False).pairs_to_decide(0.05) is None


def test_counts_of_lost_and_gained_runs():
    assert statistics.sign_test(6, 0) == pytest.approx(2 / 64)
    assert statistics.sign_test(3, 0) == pytest.approx(0.25)
    assert statistics.sign_test(1, 1) == 1
    assert statistics.sign_test(0, 0) == 1


def test_the_spread():
    assert statistics.spread([9, 10, 11]) == pytest.approx(0.1)
    assert statistics.spread([9]) == 0
