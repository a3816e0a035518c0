"""The JAX backend, in a process of its own: Keras chooses its backend when it is imported."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import pytest

# What takes long on JAX and says little more than on TensorFlow is left to the whole suite.
FILES = ["test_options", "test_precision", "test_sparse", "test_fit", "test_lowering"]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="runs there already")
@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")
def test_the_suite_passes_on_jax():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + ["tests/keras_adam/test_parity.py::test_options_in_pairs"]
        + [f"tests/keras_adam/{name}.py" for name in FILES],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert " passed" in run.stdout


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_other_backends_are_refused_at_construction(backend, monkeypatch):
    import keras_adam

    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(RuntimeError, match=rf"TensorFlow and JAX backends.*is '{backend}'"):
        keras_adam.Adam()
