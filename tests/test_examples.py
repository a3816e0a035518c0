"""Every example runs to its end, as a user would run it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(p.name for p in (ROOT / "examples").glob("*.py") if p.stem != "sign_sgd")


def run(*command):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'examples'}"}
    environment.pop("KERAS_BACKEND", None)
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs(name):
    if name == "keras_hub_gpt2.py" and not importlib.util.find_spec("keras_hub"):
        pytest.skip("keras-hub is not installed")
    done = run(f"examples/{name}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip()


def test_an_optimizer_of_ones_own_runs_in_the_harness(tmp_path):
    done = run(
        *("-m", "benchmarks", "train", "--optimizer", "sign_sgd:SignSGD(learning_rate=0.0003)"),
        *("--model", "mlp", "--seeds", "1", "--epochs", "1", "--output", str(tmp_path / "new")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
