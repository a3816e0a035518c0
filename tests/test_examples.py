"""Every example runs without an error, as a user would run it."""

import importlib.util
from pathlib import Path

import pytest

from tests import processes
from tests.benchmarks.conftest import run_command

EXAMPLES = Path(__file__).parents[1] / "examples"
PROGRAMS = sorted(p.name for p in EXAMPLES.glob("*.py") if p.stem != "sign_sgd")


@pytest.mark.parametrize("name", PROGRAMS)
def test_example_runs(name):
    if name == "keras_hub_gpt2.py" and not importlib.util.find_spec("keras_hub"):
        pytest.skip("keras-hub is not installed")
    file = EXAMPLES / name
    printed = processes.run(file.read_text(), file, XLA_FLAGS=processes.FAST_COMPILATION)
    assert printed.strip()


def test_an_optimizer_of_ones_own_runs_in_the_harness(tmp_path):
    optimizer = "examples.sign_sgd:SignSGD(learning_rate=0.0003)"
    done = run_command(
        *("train", "--optimizer", optimizer, "--model", "tests.benchmarks.tiny:dense"),
        *("--dataset", "tests.benchmarks.tiny:images"),
        *("--seeds", "1", "--epochs", "1", "--output", tmp_path / "new"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
