"""Runs without a result count as worse, and losses by chance are no difference."""

from collections import Counter

import numpy as np
import pytest

from benchmarks.analysis import comparison, gate, statistics, verdict
from benchmarks.analysis.metrics import METRICS
from benchmarks.analysis.verdict import Comparison
from tests.benchmarks.analysis.runs import within, write


def write_losses(folder, lost, accuracies=0.01, n=10, status="diverged", **columns):
    """Write n seeds of adam and of sgd; sgd is better by `accuracies`, except for its lost runs."""
    random = np.random.default_rng(0)
    values = 0.8 + 0.001 * random.random(n)
    better = values + accuracies + 0.001 * random.random(n)
    write(folder, "adam", 500 + random.random(n), values)
    statuses = [status] * lost + ["ok"] * (n - lost)
    speeds = [None] * lost + [500 + x for x in random.random(n - lost)]
    write(folder, "sgd", speeds, [None] * lost + list(better[lost:]), status=statuses, **columns)
    return folder


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        (0, "difference: more accurate"),
        (1, "difference: more accurate, better in 19 of 20 pairs; 1 lost (diverged)"),
        (5, "inconclusive: p 0.17 among all comparisons; 5 lost (diverged)"),
        (10, "difference: lost more often, better in 10 of 20 pairs; 10 lost (diverged)"),
        (19, "difference: less accurate, better in 1 of 20 pairs; 19 lost (diverged)"),
    ],
)
def test_the_survivors_do_not_decide(tmp_path, lost, expected):
    """An earlier version said "difference: more accurate" when 5 of 10 runs had diverged."""
    found = within(write_losses(tmp_path, lost, n=20))[0]["test_accuracy"]
    assert found.verdict == expected
    assert found.effect.n == 20 - lost


def test_a_loss_leaves_no_interval(tmp_path):
    found = within(write_losses(tmp_path, 1))[0]["test_accuracy"]
    assert verdict.in_words(found)[1] == ""
    assert verdict.in_words(within(write_losses(tmp_path / "none", 0))[0]["test_accuracy"])[1]


def test_what_was_not_measured_is_no_loss(tmp_path):
    write(tmp_path, "adam", [500, 505, 510, 500], [0.9] * 4)
    write(tmp_path, "sgd", [1000, 1010, 1020, None], [0.9] * 4)
    speed = within(tmp_path)[0]["images_per_second"]
    assert speed.verdict == "difference: faster; 1 not measured"


def test_runs_that_both_lose_are_no_agreement(tmp_path):
    """An earlier version called two successful runs of ten "no difference"."""
    for optimizer in ("adam", "sgd"):
        lost = [None] * 8
        write(
            tmp_path, optimizer, [500] * 10, [*lost, 0.9, 0.9], status=["diverged"] * 8 + ["ok"] * 2
        )
    assert within(tmp_path)[0]["test_accuracy"].verdict == (
        "inconclusive: better in 0 of 0 pairs; 8 lost by both"
    )


@pytest.mark.parametrize("lost", [0, 1, 3, 6, 9])
@pytest.mark.parametrize("better", [True, False])
def test_verdict_and_gate_agree(tmp_path, lost, better):
    """ "inconclusive: no pair; 10 lost" was a regression for the gate."""
    folder = write_losses(tmp_path, lost, 0.05 if better else -0.05)
    comparisons, _ = comparison.within(folder)
    for one, outcome in zip(comparisons, gate.judge(comparisons, 0.0), strict=True):
        is_worse = one.is_different and not one.is_better
        is_worse |= one.is_lost_more_or_less and one.losses > one.gained
        assert is_worse == (outcome.state == "shown")
        if outcome.state == "excluded":
            assert not is_worse


def draw_losses(rate, worse=0.0, rate_baseline=None, n=12, count=1000):
    """Draw comparisons of n seeds, of which both sides lose some at random."""
    random = np.random.default_rng(round(100 * rate))
    metric = next(metric for metric in METRICS if metric.column == "test_accuracy")
    rates = np.array([[rate if rate_baseline is None else rate_baseline], [rate]])
    for _ in range(count):
        (a, b) = random.normal(0.9, 0.01, (2, n)) - [[0], [worse]]
        lost_a, lost_b = random.random((2, n)) < rates
        if lost_a.all():
            continue  # all runs are lost, so none is worse
        both = ~lost_a & ~lost_b
        yield Comparison(
            *("", "adam", "sgd", metric, 0, 0, statistics.difference(a[both], b[both], 1e-5)),
            *(Counter({"diverged": int((lost_b & ~lost_a).sum())}), int((lost_a & ~lost_b).sum())),
            *(0, False, int((lost_a & lost_b).sum())),
        )


def verdicts_of_losses(*arguments, **options):
    """Return of how many of 1000 it is said that there is a difference, and that there is none."""
    words = [verdict.corrected([one])[0].verdict for one in draw_losses(*arguments, **options)]
    return sum(w.startswith("difference") for w in words), sum(w.startswith("no ") for w in words)


def states_of_losses(*arguments, **options):
    """Return how many of 1000 regressions are shown, and excluded."""
    states = [gate.judge([one], 0.02)[0].state for one in draw_losses(*arguments, **options)]
    return states.count("shown"), states.count("excluded")


@pytest.mark.parametrize("rate", [0, 0.05, 0.2, 0.5, 0.8])
def test_losses_by_chance_are_seldom_a_difference(rate):
    """Both are lost with the same probability; where all are, there is nothing to compare."""
    assert verdicts_of_losses(rate)[0] < 65  # of 1000: 5 % and two errors
    assert max(states_of_losses(rate, worse=0.02)) < 40


def test_losses_that_are_none_of_chance_are_found():
    """Equally good successful runs hide no loss: 12 seeds, 0 % against 60 to 100 % lost."""
    for rate, least in ((0.6, 0.6), (0.8, 0.95), (1, 1)):
        different, alike = verdicts_of_losses(rate, rate_baseline=0)
        shown, excluded = states_of_losses(rate, rate_baseline=0)
        assert min(different, shown) >= 1000 * least
        assert excluded == alike == 0


def test_runs_that_all_failed_after_are_a_regression_when_xla_compiles(tmp_path):
    """These runs do not know `jit_compile`. An earlier version left them out, and the gate was
    0."""
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    write(before, "adam", [100, 101, 102], model="2c2d", jit_compile=True)
    after = write(tmp_path / "after", "adam", [500, 505, 510])
    failed = {"status": "error", "jit_compile": None, "model": "2c2d"}
    write(after, "adam", [None] * 3, [None] * 3, **failed)
    for one, other, state in ((before, after, "shown"), (before, before, "excluded")):
        comparisons, warnings = comparison.between(one, other)
        assert len(comparisons) == 4
        assert gate.overall(gate.judge(comparisons, 0.05)) == state
        assert not any("nothing to compare with" in warning for warning in warnings)


def test_losses_by_chance_are_corrected_for_the_number_of_comparisons():
    """With 20 comparisons of 40 seeds, a quarter of outputs showed more misses by chance."""
    random = np.random.default_rng(0)
    effect = statistics.difference([0.9, 0.9], [0.9, 0.9], 1e-4)
    metric = next(m for m in METRICS if m.column == "test_accuracy")
    shown = 0
    for _ in range(400):
        reached = random.random((20, 2, 40)) < 0.5
        lost, gained = ((reached[:, k] & ~reached[:, 1 - k]).sum(1) for k in (0, 1))
        comparisons = [
            Comparison(
                *(str(number), "adam", "sgd", metric, 0.9, 0.9, effect),
                *(Counter({"target missed": int(lost[number])}), int(gained[number]), 0, False),
            )
            for number in range(20)
        ]
        shown += gate.overall(gate.judge(comparisons, 0.05)) == "shown"
    assert shown / 400 < 0.05


def test_values_and_losses_are_corrected_together():
    """Two separate corrections of 5 % would give a difference in 10 % of outputs."""
    random = np.random.default_rng(1)
    metric = next(m for m in METRICS if m.column == "test_accuracy")
    shown = 0
    for _ in range(1000):
        values = random.normal(0.9, 0.01, (2, 10))
        lost = random.random((2, 200)) < 0.5
        lost, gained = ((lost[k] & ~lost[1 - k]).sum() for k in (0, 1))
        of_values = statistics.difference(*values, 1e-5)
        none = statistics.difference([], [], 1e-5)
        comparisons = [
            Comparison(
                "", "adam", "sgd", metric, 0.9, 0.9, effect, Counter(its_lost), its, 0, False
            )
            for effect, its_lost, its in (
                (of_values, {}, 0),
                (none, {"diverged": int(lost)}, int(gained)),
            )
        ]
        found = verdict.corrected(comparisons)
        shown += any(one.verdict.startswith("difference") for one in found)
    assert 0.03 < shown / 1000 < 0.065  # 5 % and two errors; without the doubling 0.097
