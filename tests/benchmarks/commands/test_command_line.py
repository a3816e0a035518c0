"""The commands as a user calls them, and the reports as pandas reads them."""

import json
import re
import shutil

import pandas as pd
import pytest

from benchmarks.store import schema

TINY = "tests.benchmarks.tiny:dense"


@pytest.fixture(scope="module")
def report(command, data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "small"
    done = command(
        *("train", "--model", TINY, "--epochs", 2, "--seeds", 1, "--jit-compile", "true"),
        *("--optimizer", "adam", "--learning-rate", 0.01, "--optimizer", "sgd(learning_rate=1e38)"),
        *("--device", "cpu", "--data-dir", data_dir, "--output", folder),
    )
    return folder, done


def test_the_reports_of_a_sweep(report):
    folder, done = report
    assert done.returncode == 0, done.stderr
    runs, epochs = pd.read_csv(folder / "runs.csv"), pd.read_csv(folder / "epochs.csv")
    assert list(runs.columns) == list(schema.RUNS)
    assert list(epochs.columns) == list(schema.EPOCHS)

    assert list(runs["optimizer"]) == ["adam", "sgd(learning_rate=1e+38)"]
    assert list(runs["seed"]) == [0, 0]
    assert runs["run_id"].is_unique
    assert set(epochs["run_id"]) == set(runs["run_id"])
    assert runs["jit_compile"].all()

    ok, diverged = runs[runs["optimizer"] == "adam"], runs[runs["optimizer"] != "adam"]
    assert set(ok["status"]) == {"ok"}
    assert (ok["test_accuracy"] > 0.8).all()
    measured = ["images_per_second", "step_ms_p50", "step_ms_p99", "train_seconds"]
    assert (ok[[*measured, "peak_memory_mb", "compile_seconds"]] > 0).all(axis=None)
    assert set(diverged["status"]) == {"diverged"}
    assert diverged["error"].str.startswith("loss").all()
    assert diverged[measured].isna().all(axis=None)

    last = epochs.groupby("run_id")["test_accuracy"].last()
    assert list(last[ok["run_id"]]) == list(ok["test_accuracy"])
    assert (epochs[epochs["run_id"].isin(ok["run_id"])].groupby("run_id").size() == 2).all()


def test_the_folder_says_how_it_was_made(report):
    folder, _ = report
    assert {path.name for path in folder.iterdir()} == {
        "runs.csv",
        "epochs.csv",
        "command.txt",
        "environment.json",
        ".lock",
    }
    assert "--optimizer 'sgd(learning_rate=1e38)'" in (folder / "command.txt").read_text()
    assert json.loads((folder / "environment.json").read_text())["keras"]


def test_without_a_terminal_the_output_is_plain_lines(report):
    folder, done = report
    assert "\x1b" not in done.stdout + done.stderr
    assert f"[1/2] digits {TINY} adam at 0.01 seed 0\n  epoch 1/2, loss" in done.stdout
    assert done.stdout.splitlines()[-2:] == [str(folder / "runs.csv"), str(folder / "epochs.csv")]
    assert done.stderr == ""


def test_a_report_is_never_mixed_with_another(command, report):
    folder, _ = report
    before = (folder / "runs.csv").read_bytes()
    done = command("train", "--output", folder)
    assert done.returncode == 2
    assert "holds a report already" in done.stderr
    assert (folder / "runs.csv").read_bytes() == before


def test_a_run_that_fails_is_a_row_and_the_sweep_goes_on(command, data_dir, tmp_path):
    shutil.copytree(data_dir / "digits", tmp_path / "digits")
    (shard,) = tmp_path.glob("digits/*/digits-train.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-100])
    folder = tmp_path / "report"
    done = command(
        *("train", "--model", "mlp", "--epochs", 1, "--seeds", 2, "--optimizer", "adam"),
        *("--data-dir", tmp_path, "--output", folder),
    )
    assert done.returncode == 1
    runs = pd.read_csv(folder / "runs.csv")
    assert list(runs["status"]) == ["error", "error"]
    assert runs["error"].str.contains(f"{shard}: damaged after record").all()
    assert runs["error"].str.contains("data verify").all()
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian", "No such command 'trian'"),
        ("train --datset digits", "--dataset"),
        ("train --model 2c3d", "--model '2c3d': not a model; did you mean 3c3d or 2c2d?"),
        ("train --optimizer adm", "--optimizer 'adm': not an optimizer; did you mean adam"),
        ("train --optimizer adam(0.9)", "arguments are given by name"),
        ("train --optimizer adam --optimizer adam()", "--optimizer 'adam': given twice"),
        ("train --learning-rate -1", "learning rate -1.0 is not a number above 0"),
        ("train --learning-rate fast", "'--learning-rate': 'fast' is not a valid float"),
        ("train --resume", "--resume: name the folder to continue in; see --output"),
        ("tune --optimizer adm", "did you mean adam"),
        ("tune --optimizer adam(learning_rate=0.1)", "nothing to search"),
        ("tune --learning-rate 1 0.1", "learning_rate: 1.0 to 0.1 is not a range"),
        ("tune --trials 0", "'--trials': 0 is not in the range"),
        ("train --warmup-steps 9 --schedule reduce-on-plateau", "--warmup-steps 9: not with"),
        ("train --stop-at-target", "--stop-at-target: there is no target; see --target-accuracy"),
        ("train --save-weights", "--save-weights: needs validation images"),
        (
            "train --schedule reduce-on-plateau",
            "needs validation images; hold some out; see --validation",
        ),
        (
            "train --optimizer my.module:Own",
            "give its learning rate, in parentheses or for all; see --learning-rate",
        ),
        ("train --weights /nowhere", "'--weights': File '/nowhere' does not exist"),
        ("train --augment", "--augment: digits has no colour images"),
        ("train --timeout 0", "'--timeout': 0.0 is not in the range x>0"),
        ("train --seeds 0", "'--seeds': '0': expected how many (5), a range (3-7) or a list"),
        ("train --device tpu", "'--device': 'tpu' is not one of cpu, gpu, gpu:0"),
        (
            "train --backend numpy",
            "'--backend': 'numpy' is not one of 'tensorflow', 'jax', 'torch'",
        ),
        ("train --manual-dir /nowhere", "'--manual-dir': Directory '/nowhere' does not exist"),
        ("data prepare", "Missing option '--dataset'"),
        # These errors are found only with TensorFlow:
        ("train --dataset digit", "--dataset 'digit': not a TFDS data set; did you mean digits"),
        ("train --optimizer adam(beta1=1)", "adam has no argument 'beta1'; did you mean beta_1"),
        ("train --batch-size 1438", "--batch-size 1438: digits has only 1437 training images"),
        ("data prepare --dataset fashon_mnist", "did you mean fashion_mnist"),
    ],
)
def test_bad_input_is_one_line(command, data_dir, arguments, message):
    words = arguments.split()
    done = command(*words, *(["--data-dir", data_dir] if words[0] != "trian" else []))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        *([], ["train"], ["tune"], ["compare"], ["report"]),
        *(["data"], ["data", "prepare"], ["data", "list"], ["data", "verify"]),
    ],
)
def test_every_command_explains_itself(command, words):
    done = command(*words, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_version_says_what_a_bug_report_needs(command):
    done = command("--version")
    assert done.returncode == 0
    assert re.fullmatch(
        r"keras_adam [\d.]+, keras [\d.]+, tensorflow \S+, jax .*, python .*\n", done.stdout
    )
