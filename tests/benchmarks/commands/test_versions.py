"""Two versions of the code in turns, with real processes on the digits."""

import shutil

import pandas as pd
import pytest

from tests.benchmarks.conftest import ROOT


def checkout(folder):
    """Make a checkout: this code, elsewhere."""
    for package in ("benchmarks", "keras_adam"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


@pytest.fixture
def other(tmp_path):
    """Another version, which says so."""
    folder = checkout(tmp_path / "other")
    file = folder / "benchmarks" / "models.py"
    file.write_text(file.read_text() + "\nprint('this is the other version')\n")
    return folder


def test_two_checkouts_take_turns(command, data_dir, tmp_path, other):
    output = tmp_path / "turns"
    done = command(
        *("versions", ROOT, other, "--seeds", 2, "--output", output, "--max-regression", "90%"),
        *("--", "--optimizer", "adam", "--model", "mlp", "--epochs", 2, "--batch-size", 128),
        *("--device", "cpu", "--data-dir", data_dir),
    )
    assert done.returncode in (0, 1, 3), done.stderr  # two seeds of milliseconds decide nothing
    titles = [line for line in done.stdout.splitlines() if line.startswith("Seed ")]
    assert titles == ["Seed 0, before:", "Seed 0, after:", "Seed 1, after:", "Seed 1, before:"]
    assert done.stdout.count("this is the other version") >= 2  # each ran its own code
    runs = {name: pd.read_csv(output / name / "runs.csv") for name in ("before", "after")}
    for name in runs:
        assert list(runs[name]["seed"]) == [0, 1]
        assert set(runs[name]["status"]) == {"ok"}
    # Before, after, after, before.
    started = pd.concat(runs).sort_values("started_at", kind="stable")
    assert [name for name, _ in started.index] == ["before", "after", "after", "before"]
    assert f"adam in {output / 'after'} against adam in {output / 'before'}" in done.stdout
    assert "two sessions" not in done.stdout + done.stderr
    assert "A regression of more than 90% is" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere", "."], "before '/nowhere': neither a checkout of this project nor a Python"),
        ([".", ".", "--", "--seeds", "3"], "--seeds: give it before the --"),
        ([".", ".", "--resume"], "--resume: name the folder to go on in; see --output"),
        ([".", ".", "--max-regression", "much"], "expected a percentage such as 5%"),
    ],
)
def test_bad_input_is_one_line(command, arguments, message):
    done = command("versions", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
