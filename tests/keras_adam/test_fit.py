"""`model.fit`, in every way that Keras runs it, is the training of Keras's Adam."""

import functools

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND

X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 64)


def fit(optimizer, **compile_options):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(16, "tanh"),
        keras.layers.BatchNormalization(),  # has variables without gradients
        keras.layers.Dense(3),
    ]
    model = keras.Sequential([keras.Input((6,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **compile_options)
    model.fit(X, Y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    return [v.numpy() for v in model.variables]


@functools.cache
def fit_of_keras(name):
    """Return the variables after a fit with Keras's class, whose ways to run are not tested."""
    return fit(getattr(keras.optimizers, name)(0.01))


@pytest.mark.parametrize(
    ("name", "compile_options"),
    [
        ("Adam", {}),
        ("AdamW", {"jit_compile": True}),
        ("AdamW", {"run_eagerly": True}),
        ("AdamW", {"steps_per_execution": 3}),
    ],
    ids=str,
)
def test_fit_is_that_of_keras(name, compile_options):
    if BACKEND == "torch" and "steps_per_execution" in compile_options:
        pytest.skip("Keras refuses it on PyTorch")
    if BACKEND == "torch" and compile_options.get("jit_compile"):
        pytest.skip("to trace takes a minute there; test_torch.py does it once")
    if BACKEND == "jax" and compile_options == {"run_eagerly": True}:
        compile_options = {"run_eagerly": True, "jit_compile": False}
    ours = fit(getattr(keras_adam, name)(0.01), **compile_options)
    for a, b in zip(ours, fit_of_keras(name), strict=True):
        # 12 steps of 1e-2 each; the gradients depend on the weights' last bits, too.
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)


def test_reduce_on_plateau_and_schedules_work_with_fit():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    model.compile(keras_adam.Adam(0.01), "mse")
    reduce = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    model.fit(X, np.zeros((64, 3)), epochs=3, callbacks=[reduce], verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0025)
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 10)
    model.compile(keras_adam.Adam(schedule), "mse")
    model.fit(X, np.zeros((64, 3)), epochs=1, verbose=0)
    assert int(model.optimizer.iterations) == 2
