"""Keras's own tests of optimizers, as its wheel ships them, against our classes."""

import re
from importlib.util import find_spec

import pytest

from tests import processes
from tests.keras_adam.training import BACKEND

# Modules, and those of their tests that make an Adam or an AdamW.
OF_ADAM = {
    "optimizers.adam_test": ["AdamTest"],
    "optimizers.adamw_test": ["AdamWTest"],
    "optimizers.optimizer_sparse_test": ["gradients_adam", "correctness_adam"],
    "optimizers.optimizer_test": [
        "iterations_counter",
        "get_method",
        "set_weights",
        "tf_checkpointing",
        *("weigth_decay0", "weigth_decay2"),  # "adam" and "adamw" among the parameters
        "setting_lr",
        *("pickleable_optimizers0", "pickleable_optimizers2"),
        "mixed_with_tf",
        "auto_naming",
    ],
    "optimizers.multi_optimizer_test": [
        "map_matching",
        "initialization",
        "default_fallback",
        "test_serialization",
        "loss_scaling",
        "custom_callable",
    ],
}
# Modules whose tests take an optimizer by its name, and their tests that write, read, copy or
# change its state from outside. Merging LoRA changes which variables are trained.
BY_NAME = {
    "layers.core.dense_test": ["enable_lora"],
    "layers.core.embedding_test": ["enable_lora"],
    "saving.saving_lib_test": [
        "test_compile_arg",
        "test_compile_preserved_subclassed_functional",
        "test_save_to_fileobj",
        "test_saving_custom_assets_and_variables",
    ],
    "models.cloning_test": ["test_compiled_model_cloning"],
    "models.model_test": ["test_get_state_tree", "test_set_state_tree", "pickling_single_output_1"],
    "callbacks.backup_and_restore_test": ["test_best_case_epoch"],
    "callbacks.learning_rate_scheduler_test": ["test_updates_learning_rate"],
    "callbacks.reduce_lr_on_plateau_test": ["test_honors_min_lr"],
    "callbacks.swap_ema_weights_test": ["test_swap_ema_weights_with_loss_scale_optimizer"],
    "callbacks.terminate_on_nan_test": ["test_raise_error_terminate_preserves_backup"],
}


@pytest.mark.skipif(
    find_spec("keras.src.optimizers.adam_test") is None, reason="this Keras ships no tests"
)
@pytest.mark.parametrize("backend", ["torch"] if BACKEND == "torch" else ["tensorflow", "jax"])
def test_keras_own_tests_pass(backend, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    passed = {"tensorflow": 44, "jax": 41, "torch": 31}[backend]
    output = run(backend, "keras_suite_plugin", OF_ADAM, passed, tmp_path)
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
    output = run("tensorflow", "keras_names_plugin", BY_NAME, 23, tmp_path)
    assert "keras_adam.optimizer is behind the names of optimizers" in output


def run(backend, plugin, chosen, passed, folder):
    """Run chosen tests of Keras in another process, and return its output.

    `passed` of them pass with Keras 3.15.1; if far fewer pass, Keras has moved its tests.
    """
    names = " or ".join(sorted({name for names in chosen.values() for name in names}))
    modules = [f"keras.src.{module}" for module in chosen]
    options = ["-p", "no:cacheprovider", "-p", f"tests.keras_adam.{plugin}", "-k", names]
    printed = processes.run(
        processes.PYTEST,
        arguments=[*options, "--pyargs", *modules],
        backend=backend,
        folder=folder,
        XLA_FLAGS=processes.FAST_COMPILATION,
    )
    assert int(re.search(r"(\d+) passed", printed)[1]) > 0.8 * passed
    return printed
