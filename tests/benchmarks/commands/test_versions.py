"""Two versions of the code in turn, with real processes but without training."""

import shutil

import pandas as pd
import pytest

from tests.benchmarks.conftest import ROOT

TRAINING = """
import datetime
from benchmarks.environment import Checked
from benchmarks.training.messages import Epoch, Finished

def check_runs(configs, device, data_dir, manual_dir, send):
    send(Checked("cpu", {}))

def train_model(config, data_dir, best_weights, backup, send):
    send(Epoch({"epoch": 1}))
    row = {"status": "ok", "test_accuracy": 0.5, "images_per_second": 100 + config.seed}
    now = datetime.datetime.now(datetime.UTC).isoformat()
    send(Finished({**row, "commit": "%s", "started_at": now}))
"""
"""The code in place of a version's training, which says its version."""


def checkout(folder):
    """Make a checkout of this code in another folder, without training and TensorFlow."""
    for package in ("benchmarks", "keras_adam"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (folder / "benchmarks" / "training" / "one_run.py").write_text(TRAINING % folder.name)
    (folder / "tensorflow.py").touch()  # every worker imports it
    (folder / "keras.py").write_text("raise ImportError")  # so the server of workers starts at once
    return folder


def test_two_checkouts_take_turns(command, tmp_path):
    output = tmp_path / "turns"
    one, other = checkout(tmp_path / "one"), checkout(tmp_path / "other")
    done = command(
        *("versions", one, other, "--seeds", 2, "--output", output, "--max-regression", "90%"),
        *("--", "--optimizer", "adam", "--model", "mlp", "--batch-size", 128),
    )
    assert done.returncode == 0, done.stderr
    titles = [line for line in done.stdout.splitlines() if line.startswith("Seed ")]
    assert titles == ["Seed 0, before:", "Seed 0, after:", "Seed 1, after:", "Seed 1, before:"]
    runs = {name: pd.read_csv(output / name / "runs.csv") for name in ("before", "after")}
    for name, version in (("before", "one"), ("after", "other")):
        assert list(runs[name]["seed"]) == [0, 1]
        assert set(runs[name]["status"]) == {"ok"}
        assert set(runs[name]["batch_size"]) == {128}
        assert set(runs[name]["commit"]) == {version}  # each ran its own code
    # Before, after, after, before.
    started = pd.concat(runs).sort_values("started_at")
    assert [name for name, _ in started.index] == ["before", "after", "after", "before"]
    assert f"adam in {output / 'after'} against adam in {output / 'before'}" in done.stdout
    assert "two sessions" not in done.stdout + done.stderr
    assert "A regression of more than 90% is excluded" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere", "."], "before '/nowhere': neither a checkout of this project nor a Python"),
        ([".", ".", "--", "--seeds", "3"], "--seeds: give it before --"),
        ([".", ".", "--resume"], "--resume: name the folder to continue in; see --output"),
        ([".", ".", "--max-regression", "much"], "expected a percentage such as 5%"),
    ],
)
def test_bad_input_is_one_line(command, arguments, message):
    done = command("versions", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
