"""Keras's own optimizer tests, as its wheel ships them, against our classes."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.keras_adam.training import BACKEND

MODULES = ["adam_test", "adamw_test", "optimizer_sparse_test", "loss_scale_optimizer_test"]
SLOW_ON_JAX = ["optimizer_test", "multi_optimizer_test"]


# To enable or to merge LoRA changes which variables are trained.
OF_LAYERS = [
    "layers.core.dense_test",
    "layers.core.embedding_test",
    "layers.core.einsum_dense_test",
]


# How many tests pass with Keras 3.15.1; far fewer would mean that Keras moved its tests.
SUITES = [("tensorflow", MODULES + SLOW_ON_JAX, 133), ("jax", MODULES, 74)]
if BACKEND == "torch":  # `make test-torch`; it has no test of sparse gradients
    SUITES = [("torch", MODULES + SLOW_ON_JAX, 100)]


@pytest.mark.skipif(
    find_spec("keras.src.optimizers.adam_test") is None, reason="this Keras ships no tests"
)
@pytest.mark.parametrize(("backend", "modules", "passed"), SUITES)
def test_keras_own_tests_pass(backend, modules, passed, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    modules = [f"optimizers.{module}" for module in modules]
    output = run(backend, "keras_suite_plugin", modules, passed, tmp_path)
    assert "keras_adam took the place of keras.optimizers.Adam" in output


@pytest.mark.skipif(
    find_spec("keras.src.layers.core.dense_test") is None, reason="this Keras ships no tests"
)
def test_keras_own_tests_of_lora_pass_with_our_adam_behind_the_names(tmp_path):
    backend = SUITES[0][0]
    output = run(backend, "keras_names_plugin", OF_LAYERS, 29, tmp_path, "-k", "lora")
    assert "keras_adam.optimizer is behind the names of optimizers" in output


def run(backend, plugin, modules, passed, folder, *options):
    """Run modules of Keras's tests in a process of their own, and return what it prints."""
    repository = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        + ["-p", f"tests.keras_adam.{plugin}", *options, "--pyargs"]
        + [f"keras.src.{module}" for module in modules],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 0.8 * passed
    return run.stdout
