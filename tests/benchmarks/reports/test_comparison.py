import subprocess
import sys
import time

import pytest

from benchmarks.errors import InputError
from benchmarks.reports import comparison, csv_file, schema
from tests.benchmarks.conftest import ROOT

RUN = {
    "status": "ok",
    "dataset": "digits",
    "model": "mlp",
    "backend": "tensorflow",
    "device": "cpu",
    "jit_compile": False,
    "batch_size": 32,
    "schedule": "constant",
    "epochs": 3,
    "learning_rate": 0.001,
    "cpu": "a processor",
    "commit": "abc",
}


def write(folder, optimizer, speeds, accuracies=(0.9, 0.91, 0.92), **columns):
    """Write a run for each speed, seeds 0, 1, ..."""
    folder.mkdir(exist_ok=True)
    rows = [
        RUN
        | {
            "run_id": f"{optimizer}-{seed}-{len(columns)}",
            "optimizer": optimizer,
            "seed": seed,
            "images_per_second": speed,
            "test_accuracy": accuracy,
        }
        | columns
        for seed, (speed, accuracy) in enumerate(zip(speeds, accuracies, strict=True))
    ]
    csv_file.append(folder / "runs.csv", schema.RUNS, rows)
    return folder


def by_metric(comparisons):
    return {compared.metric.column: compared for compared in comparisons}


def within(folder, baseline=None, optimizers=(), any_environment=False):
    comparisons, warnings = comparison.within(folder, baseline, optimizers, any_environment)
    return by_metric(comparisons), warnings


def between(before, after, optimizers=(), any_environment=False):
    comparisons, warnings = comparison.between(before, after, optimizers, any_environment)
    return by_metric(comparisons), warnings


def test_optimizers_within_a_folder(tmp_path):
    write(tmp_path, "sgd", [1000, 1010, 1020])
    write(tmp_path, "adam", [500, 505, 510])
    found, warnings = within(tmp_path)
    speed, accuracy = found["images_per_second"], found["test_accuracy"]
    assert set(found) == {"images_per_second", "test_accuracy"}
    assert (speed.before, speed.after) == ("adam", "sgd")
    assert speed.effect.estimate == pytest.approx(2)
    assert speed.verdict == "faster, n = 3"
    assert speed.problem == "digits, mlp, 3 epochs of batches of 32, tensorflow on cpu"
    assert accuracy.verdict == "no difference seen with n = 3"
    assert warnings == []
    assert within(tmp_path, "sgd")[0]["images_per_second"].verdict == "slower, n = 3"


def test_two_folders_may_be_of_two_commits(tmp_path):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    after = write(tmp_path / "after", "adam", [1000, 1010, 1020], commit="def")
    found, _ = between(before, after)
    assert found["images_per_second"].verdict == "faster, n = 3"
    assert found["images_per_second"].after == f"adam in {after}"


@pytest.mark.parametrize("column", ["cpu", "tensorflow", "gpu"])
def test_unlike_environments_are_refused(tmp_path, column):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    after = write(tmp_path / "after", "adam", [500, 505, 510], **{column: "another"})
    with pytest.raises(InputError, match=f"unlike environments: {column}.*any_environment"):
        between(before, after)
    assert between(before, after, any_environment=True)[0]


def test_one_folder_must_be_of_one_commit(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [500, 505, 510], commit="def")
    with pytest.raises(InputError, match="commit abc and def"):
        within(tmp_path)


def test_runs_are_paired_by_their_seed_and_the_others_are_counted(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [1000, 1010], [0.9, 0.9])
    write(tmp_path, "nesterov", [900, None, None], [0.9, None, None], status="diverged")
    comparisons, warnings = comparison.within(tmp_path, None, ["sgd"], False)
    assert comparisons[0].verdict == "faster, n = 2; 1 lost"
    assert comparisons[0].is_regression(0.5)
    assert any("nesterov: 3 of 3 runs have status diverged" in warning for warning in warnings)
    found, _ = within(tmp_path, "adam", ["nesterov"])
    assert found["images_per_second"].verdict == "too few seeds for a verdict, n = 0; 3 lost"


def test_a_rate_is_part_of_the_name_if_there_are_several(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "adam", [500, 505, 510], learning_rate=0.1)
    found, _ = within(tmp_path)
    assert found["images_per_second"].after == "adam at 0.1"


def test_other_problems_are_compared_apart(tmp_path):
    for optimizer, factor in (("adam", 1), ("sgd", 2)):
        write(tmp_path, optimizer, [500 * factor, 505 * factor, 510 * factor])
        write(tmp_path, optimizer, [50, 51, 52], model="2c2d")
        write(tmp_path, optimizer, [50, 51, 52], jit_compile=True, epochs=4)
    comparisons, _ = comparison.within(tmp_path, None, [], False)
    assert [c.verdict for c in comparisons if c.metric.is_timing] == [
        "faster, n = 3",
        "no difference seen with n = 3",
        "no difference seen with n = 3",
    ]


def test_a_wide_spread_is_warned_of(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [500, 700, 900])
    _, warnings = within(tmp_path)
    assert len(warnings) == 1
    assert warnings[0].startswith("images_per_second of sgd varies by 29% over the runs")


@pytest.mark.parametrize(
    ("speeds", "accuracies", "regression"),
    [
        ([490, 495, 500], [0.9, 0.91, 0.92], False),  # 2 %
        ([450, 455, 460], [0.9, 0.91, 0.92], True),  # 10 %
        ([100, 505, 2000], [0.9, 0.91, 0.92], False),  # not seen
        ([500, 505, 510], [0.8, 0.81, 0.82], True),
        ([500, 505, 510], [0.99, 0.99, 0.99], False),
    ],
)
def test_a_regression_is_a_difference_for_the_worse(tmp_path, speeds, accuracies, regression):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    after = write(tmp_path / "after", "adam", speeds, accuracies)
    found, _ = between(before, after)
    assert any(compared.is_regression(0.05) for compared in found.values()) == regression


def test_steps_to_target_are_compared_where_both_reach_it(tmp_path):
    write(tmp_path, "adam", [500, 505, 510], target_accuracy=0.9, steps_to_target=100)
    write(tmp_path, "sgd", [500, 505, 510], target_accuracy=0.9, steps_to_target=200)
    write(tmp_path, "rmsprop", [500, 505, 510], target_accuracy=0.9)
    steps = within(tmp_path, optimizers=["sgd"])[0]["steps_to_target"]
    assert (steps.effect.estimate, steps.verdict) == (pytest.approx(2), "more steps, n = 3")
    assert within(tmp_path, optimizers=["rmsprop"])[0]["steps_to_target"].lost == 3


def test_what_cannot_be_compared_is_refused(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    with pytest.raises(InputError, match="nothing to compare with 'adam'"):
        within(tmp_path)
    with pytest.raises(InputError, match="no runs of 'adm'; did you mean adam"):
        within(tmp_path, "adm")
    write(tmp_path, "adam", [500, 505, 510], status="ok", error=None)
    with pytest.raises(InputError, match="only in options without a column"):
        within(tmp_path)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "compare", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command(tmp_path):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    after = write(tmp_path / "after", "adam", [400, 405, 410])
    begin = time.perf_counter()
    done = run(before, after)
    assert time.perf_counter() - begin < 3  # half of it on a quiet machine, and no TensorFlow
    assert done.returncode == 0, done.stderr
    assert "images_per_second" in done.stdout
    assert "slower, n = 3" in done.stdout
    failed = run(before, after, "--max-regression", "5%")
    assert failed.returncode == 1
    assert "Regression: images_per_second of adam in" in failed.stdout
    assert run(before, after, "--max-regression", "50%").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["/nowhere"], "No such file"),
        (["a", "b", "c"], "3 folders given"),
        (["a", "b", "--baseline", "adam"], "--baseline 'adam': only with one folder"),
        (["a", "--max-regression", "much"], "--max-regression 'much': expected a percentage"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_tensorflow():
    code = "import sys, benchmarks.reports.comparison; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
