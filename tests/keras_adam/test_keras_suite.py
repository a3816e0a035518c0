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


# Modules whose tests take an optimizer by its name, and their tests that write, read, copy or
# change its state from outside. Merging LoRA changes which variables are trained.
BY_NAME = {
    "layers.core.dense_test": ["enable_lora", "lora_rank_argument"],
    "layers.core.embedding_test": ["enable_lora", "lora_rank_argument"],
    "layers.core.einsum_dense_test": ["enable_lora", "lora_integration_int8_btd"],
    "saving.saving_lib_test": [
        "test_compile_arg",
        "test_compile_preserved_subclassed",
        "test_save_to_fileobj",
        "test_saving_custom_assets_and_variables",
    ],
    "models.cloning_test": ["test_compiled_model_cloning"],
    "models.model_test": ["test_get_state_tree", "test_set_state_tree", "pickl"],
    "callbacks.backup_and_restore_test": ["test_best_case_epoch"],
    "callbacks.learning_rate_scheduler_test": ["test_updates_learning_rate"],
    "callbacks.model_checkpoint_test": ["test_model_checkpoint_loading"],
    "callbacks.reduce_lr_on_plateau_test": ["test_honors_min_lr"],
    "callbacks.swap_ema_weights_test": ["test_swap_ema_weights_with_loss_scale_optimizer"],
    "callbacks.terminate_on_nan_test": ["test_raise_error_terminate_preserves_backup"],
}


# The number of tests that pass with Keras 3.15.1; if far fewer pass, Keras has moved its tests.
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
@pytest.mark.skipif(BACKEND == "torch", reason="takes two minutes, and knows no backend")
def test_keras_own_tests_pass_with_our_adam_behind_the_names(tmp_path):
    """All of `layers/core/{dense,embedding,einsum_dense}`, `saving`, `models` and `callbacks`:

        KERAS_BACKEND=tensorflow PYTHONPATH=$PWD python -m pytest -p no:cacheprovider \\
            -p tests.keras_adam.keras_names_plugin --pyargs keras.src.saving.saving_lib_test ...

    takes ten minutes. With Keras 3.15.1 the same tests fail as with `ADAM_BEHIND_NAMES=keras`:
    those that need Orbax or TensorBoard, and `test_legacy_load_skips_missing_nested_containers`.
    """
    chosen = " or ".join(sorted({name for names in BY_NAME.values() for name in names}))
    output = run("tensorflow", "keras_names_plugin", BY_NAME, 46, tmp_path, "-k", chosen)
    assert "keras_adam.optimizer is behind the names of optimizers" in output


def run(backend, plugin, modules, passed, folder, *options):
    """Run modules of Keras's tests in another process, and return its output."""
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
