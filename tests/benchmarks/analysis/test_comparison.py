"""Which runs are paired, and what is said of them."""

import numpy as np
import pytest

from benchmarks.analysis import comparison, verdict
from benchmarks.analysis.selection import Selection
from benchmarks.errors import InputError
from benchmarks.store import csv_file, schema
from tests.benchmarks.analysis.runs import between, within, write
from tests.benchmarks.conftest import ROOT


def test_optimizers_within_a_folder(tmp_path):
    write(tmp_path, "sgd", [1000, 1010, 1020])
    write(tmp_path, "adam", [500, 505, 510])
    found, warnings = within(tmp_path)
    speed, accuracy = found["images_per_second"], found["test_accuracy"]
    assert set(found) == {"images_per_second", "test_accuracy"}
    assert (speed.baseline, speed.subject) == ("adam", "sgd")
    assert speed.effect.estimate == pytest.approx(2)
    assert speed.verdict == "difference: faster"
    assert speed.problem == "digits, mlp, 3 epochs of batches of 32, tensorflow on cpu"
    assert accuracy.verdict.startswith("no difference larger than 0.0")
    assert warnings == []
    assert within(tmp_path, "sgd")[0]["images_per_second"].verdict == "difference: slower"


def test_the_means_and_the_effect_agree(tmp_path):
    """An earlier version showed medians that fell, 10 to 9, beside an effect of x 1.2."""
    write(tmp_path, "adam", [10, 1, 100])
    write(tmp_path, "sgd", [9, 2, 99])
    speed = within(tmp_path)[0]["images_per_second"]
    assert speed.mean_subject / speed.mean_baseline == pytest.approx(speed.effect.estimate)


def test_runs_are_paired_by_their_seed_and_the_others_are_counted(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [1000, 1010], [0.9, 0.9])
    write(tmp_path, "nesterov", [900, None, None], [0.9, None, None], status=["ok", "oom", "oom"])
    comparisons, warnings = comparison.within(tmp_path, Selection(None, ["sgd"]))
    assert comparisons[0].verdict == "difference: faster; 1 without a partner"
    assert "runs of nesterov with status oom: 2 of 3" in warnings
    found, _ = within(tmp_path, "adam", ["nesterov"])
    assert found["images_per_second"].verdict == (
        "inconclusive: better in 1 of 3 pairs; 2 lost (oom)"
    )


def test_a_rate_is_part_of_the_name_if_there_are_several(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "adam", [500, 505, 510], learning_rate=0.1)
    found, _ = within(tmp_path)
    assert found["images_per_second"].subject == "adam at 0.1"


def test_two_rates_of_two_folders_are_not_compared(tmp_path):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    after = write(tmp_path / "after", "adam", [500, 505, 510], learning_rate=0.1)
    with pytest.raises(InputError, match="differ in learning_rate"):
        between(before, after)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["sgd", "adam(beta_1=0.95)", "keras_adam"], "adam(beta_1=0.95)"),
        (["adam(beta_1=0.95)", "adam"], "adam"),
        (["sgd", "rmsprop"], "sgd"),
    ],
)
def test_the_default_baseline(tmp_path, written, expected):
    for optimizer in written:
        write(tmp_path, optimizer, [500, 505, 510])
    assert within(tmp_path)[0]["images_per_second"].baseline == expected


def test_the_default_baseline_has_results(tmp_path):
    write(tmp_path, "adam", [None] * 3, [None] * 3, status="diverged")
    write(tmp_path, "sgd", [500, 505, 510])
    write(tmp_path, "keras_adam", [500, 505, 510])
    comparisons, _ = comparison.within(tmp_path)
    assert {compared.baseline for compared in comparisons} == {"sgd"}


def test_a_baseline_is_found_without_its_arguments(tmp_path):
    write(tmp_path, "sgd", [500, 505, 510])
    write(tmp_path, "adam(beta_1=0.95)", [500, 505, 510])
    assert within(tmp_path, "adam")[0]["images_per_second"].baseline == "adam(beta_1=0.95)"
    write(tmp_path, "adam(beta_1=0.8)", [500, 505, 510])
    with pytest.raises(InputError, match=r"'adam' may be adam\(beta_1=0.95\), adam"):
        within(tmp_path, "adam")


def test_other_problems_are_compared_apart(tmp_path):
    for optimizer, factor in (("adam", 1), ("sgd", 2)):
        write(tmp_path, optimizer, [500 * factor, 505 * factor, 510 * factor])
        write(tmp_path, optimizer, [50, 51, 52], model="2c2d")
        write(tmp_path, optimizer, [50, 51, 52], jit_compile=True, epochs=4)
    comparisons, _ = comparison.within(tmp_path)
    first, second, third = (c.verdict for c in comparisons if c.metric.is_timing)
    assert first == "difference: faster"
    assert second == third == "no difference larger than 0.1 %"


def test_many_comparisons_need_more_evidence(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [525, 535, 555])  # p = 0.02
    write(tmp_path, "rmsprop", [501, 505, 509])
    write(tmp_path, "nesterov", [500, 506, 510])
    found = comparison.within(tmp_path, Selection("adam"))[0]
    (among,) = (c for c in found if (c.subject, c.metric.column) == ("sgd", "images_per_second"))
    assert among.p < 0.05 < among.p_corrected
    assert among.verdict.startswith("inconclusive: p 0.")
    assert among.tests == len(found) == 6


def test_what_is_shown_does_not_change_what_is_said(tmp_path):
    """In an earlier version, one of three optimizers was "difference" alone, "inconclusive" with
    all."""
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [525, 535, 555])
    write(tmp_path, "rmsprop", [501, 505, 509])
    among = {(c.subject, c.metric.column): c for c in comparison.within(tmp_path)[0]}
    alone = within(tmp_path, None, ["sgd"], ["images_per_second"])[0]
    (one,) = alone.values()
    assert verdict.in_words(one) == verdict.in_words(among["sgd", "images_per_second"])
    assert one.tests == 4
    other = write(tmp_path / "other", "sgd", [450, 455, 480])
    write(other, "rmsprop", [501, 505, 509])
    assert {c.tests for c in comparison.between(tmp_path, other, Selection(None, ["sgd"]))[0]} == {
        4
    }


def test_a_comparison_without_a_p_does_not_count(tmp_path):
    """An earlier version said 12 tests, but only 6 had a p."""
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [525, 535, 555])
    write(tmp_path, "rmsprop", [501], [0.9])
    found = comparison.within(tmp_path)[0]
    assert (len(found), {c.tests for c in found}) == (4, {2})


def test_one_epoch_more_on_two_seeds_is_no_certainty(tmp_path):
    """With 936 and 1,404 steps on two seeds, p was 0, and the verdict "more steps"."""
    write(tmp_path, "adam", [500, 505], [0.9, 0.91], target_accuracy=0.9, steps_to_target=936)
    write(tmp_path, "sgd", [500, 505], [0.9, 0.91], target_accuracy=0.9, steps_to_target=1404)
    steps = within(tmp_path)[0]["steps_to_target"]
    assert 0.1 < steps.effect.p < 1
    assert steps.verdict == "inconclusive"


def test_one_image_more_on_two_seeds_is_no_certainty(tmp_path):
    images = np.array([[300, 320], [301, 321]]) / 360
    write(tmp_path, "adam", [500, 505], images[0])
    write(tmp_path, "sgd", [500, 505], images[1])
    accuracy = within(tmp_path)[0]["test_accuracy"]
    assert accuracy.effect.p > 0.05
    assert accuracy.effect.low < 0 < accuracy.effect.high


def test_a_wide_spread_is_warned_of(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [500, 700, 900])
    _, warnings = within(tmp_path)
    assert len(warnings) == 1
    assert warnings[0].startswith("images_per_second of sgd varies by 29% over the runs")


def test_steps_to_target_are_compared_where_both_reach_it(tmp_path):
    steps = [468, 936, 936, 936, 1404, 936, 936]
    speeds, accuracies = [500] * 7, [0.9] * 7
    options = {"target_accuracy": 0.9}
    write(tmp_path, "adam", speeds, accuracies, steps_to_target=steps, **options)
    tripled = [3 * value for value in steps]
    write(tmp_path, "sgd", speeds, accuracies, steps_to_target=tripled, **options)
    write(tmp_path, "rmsprop", speeds, accuracies, **options)
    found = within(tmp_path, optimizers=["sgd"])[0]["steps_to_target"]
    assert (found.effect.estimate, found.verdict) == (pytest.approx(3), "difference: more steps")
    found = within(tmp_path, optimizers=["rmsprop"])[0]["steps_to_target"]
    assert found.verdict == (
        "difference: more steps, better in 0 of 7 pairs; 7 lost (target missed)"
    )


def test_what_cannot_be_compared_is_refused(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    with pytest.raises(InputError, match="nothing to compare with 'adam'"):
        within(tmp_path)
    with pytest.raises(InputError, match="no runs of 'adm'; did you mean adam"):
        within(tmp_path, "adm")
    write(tmp_path, "adam", [500, 505, 510], status="ok", error=None)
    with pytest.raises(InputError, match="two runs of the same kind and seed"):
        within(tmp_path)


def test_a_rate_that_only_one_of_two_folders_has_hides_no_other(tmp_path):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    write(before, "adam", [600, 605, 610], learning_rate=0.01, run_id=["x", "y", "z"])
    after = write(tmp_path / "after", "adam", [500, 505, 510])
    for one, other in ((before, after), (after, before)):
        found, warnings = between(one, other)
        assert found["images_per_second"].subject == f"adam at 0.001 in {other}"
        assert found["images_per_second"].effect.estimate == 1
        assert any(warning.startswith(f"adam at 0.01 in {before}") for warning in warnings)


def test_problems_without_the_baseline_are_said(tmp_path):
    for optimizer in ("adam", "sgd"):
        write(tmp_path, optimizer, [500, 505, 510])
    for optimizer in ("keras_adam", "sgd"):
        write(tmp_path, optimizer, [500, 505, 510], model="2c2d")
    (warning,) = within(tmp_path)[1]
    assert warning.startswith("keras_adam, sgd: not compared, without a run of 'adam' (digits, 2c")


def test_an_optimizer_that_is_named_twice_counts_once(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [500, 505, 510])
    assert len(comparison.within(tmp_path, Selection(optimizers=["sgd", "sgd"]))[0]) == 2
    assert len(comparison.between(tmp_path, tmp_path, Selection(optimizers=["sgd", "sgd"]))[0]) == 2
    with pytest.raises(InputError, match="'adam': is the baseline itself"):
        comparison.within(tmp_path, Selection(optimizers=["adam"]))


@pytest.mark.parametrize("column", ["status", "seed", "dataset"])
def test_a_row_without_what_a_run_is_is_named(tmp_path, column):
    value = "ok" if column == "status" else "digits" if column == "dataset" else 0
    write(tmp_path, "adam", [500, 505, 510], **{column: [value, None, value]})
    with pytest.raises(InputError, match=f"runs.csv: row 2 has no {column}"):
        within(tmp_path)


def test_a_ratio_to_nothing_is_none(tmp_path):
    """An earlier version called a throughput of 0 "faster, x 1e304"."""
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [500, 0, 510])
    speed = within(tmp_path)[0]["images_per_second"]
    assert (speed.effect.n, dict(speed.lost)) == (2, {"not measured": 1})


# Races, searches and other kinds of folders.


def test_a_race_is_paired_by_its_rounds(tmp_path):
    generator = np.random.default_rng(0)
    rows, raw = [], []
    for optimizer, ms in (("adam", 20.0), ("keras_adam", 10.0)):
        rows.append(
            {"shapes": "mlp", "optimizer": optimizer, "mode": "eager", "backend": "tensorflow"}
            | {"device": "cpu", "update_ms_p50": ms, "update_ms_min": ms, "repetitions": 40}
        )
        for number in range(1, 9):
            drift = 1 + 0.1 * number  # of the machine: the same for both
            for _ in range(5):
                seconds = ms * drift * generator.normal(1, 0.01) / 1e3
                turn = {"shapes": "mlp", "optimizer": optimizer, "mode": "eager"}
                raw.append(turn | {"phase": "measured", "round": number, "seconds": seconds})
    csv_file.append(tmp_path / "updates.csv", schema.UPDATES, rows)
    csv_file.append(tmp_path / "updates_raw.csv", schema.UPDATES_RAW, raw)
    ((compared,), _) = comparison.within(tmp_path)
    assert (compared.metric.column, compared.effect.n) == ("update_ms_p50", 8)
    assert compared.effect.estimate == pytest.approx(0.5, rel=0.01)
    assert compared.verdict == "difference: faster"
    assert compared.problem == "mlp, eager on cpu"
    (tmp_path / "updates_raw.csv").unlink()
    ((compared,), _) = comparison.within(tmp_path)
    assert compared.verdict == "inconclusive: one pair"


@pytest.mark.parametrize("name", ["update", "update_fit", "train_fashion_mnist", "overhead"])
def test_the_published_folders_are_compared(name):
    assert comparison.within(ROOT / "results" / name)[0]


def test_trials_of_a_search_are_no_seeds(tmp_path):
    """An earlier version took forty rates of one optimizer for forty optimizers."""
    folder = ROOT / "results" / "tune_fashion_mnist"
    comparisons, _ = comparison.within(folder)
    assert {compared.effect.n for compared in comparisons} == {1}
    searches = csv_file.read(folder / "trials.csv", schema.TRIALS)["optimizer"].nunique()
    assert len({compared.subject for compared in comparisons}) == searches - 1


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no report"):
        comparison.within(tmp_path)
