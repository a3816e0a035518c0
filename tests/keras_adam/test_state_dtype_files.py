"""Compact states and master weights in files: the same bits, and conversion to and from float32."""

import functools
import pickle

import keras
import ml_dtypes
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND, assert_equal, train_on

COMPACT = {
    "bfloat16": {"state_dtype": "bfloat16"},
    "int8": {"state_dtype": "int8", "amsgrad": True},
    "master": {"state_dtype": "int8", "master_weights": True},
}
# Not compiled: how an update is computed is of no account here.
Adam = functools.partial(keras_adam.Adam, jit_compile=False)
X = np.random.default_rng(0).normal(size=(32, 65)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")


def make_model(optimizer, dtype="float32"):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, "tanh", dtype=dtype), keras.layers.Dense(2, dtype=dtype)]
    model = keras.Sequential([keras.Input((65,)), *layers])
    model.compile(optimizer, "mse", run_eagerly=True)  # to trace would take longer than to train
    return model


def train(model, steps):
    train_on(model, X, Y, steps)


@pytest.mark.parametrize("name", COMPACT)
def test_training_goes_on_to_the_bit(name, tmp_path):
    dtype = "bfloat16" if name == "master" else "float32"
    model = make_model(Adam(0.01, **COMPACT[name]), dtype)
    train(model, 3)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    of_weights = make_model(Adam(0.01, **COMPACT[name]), dtype)
    of_weights.load_weights(tmp_path / "model.weights.h5")
    of_file = keras.saving.load_model(tmp_path / "model.keras")
    of_pickle = pickle.loads(pickle.dumps(model))
    train(model, 2)
    for other in (of_weights, of_file, of_pickle):
        train(other, 2)
        assert_equal(model, other)
        assert other.optimizer.get_config()["state_dtype"] == COMPACT[name]["state_dtype"]


def store_of(optimizer):
    store = {}
    optimizer.save_own_variables(store)
    return store


def values(optimizer, kind):
    return [v.numpy() for v in optimizer.variables if v.name.endswith(f"_{kind}")]


@pytest.mark.parametrize("source", [keras.optimizers.Adam, Adam])
@pytest.mark.parametrize("state_dtype", ["bfloat16", "int8"])
def test_float32_states_load_and_go_back(source, state_dtype):
    wide = make_model(source(0.01))
    train(wide, 3)
    compact = make_model(Adam(0.01, state_dtype=state_dtype))
    compact.optimizer.build(compact.trainable_variables)
    compact.optimizer.load_own_variables(store_of(wide.optimizer))
    assert int(compact.optimizer.iterations.numpy()) == 3
    back = make_model(Adam(0.01))
    back.optimizer.build(back.trainable_variables)
    back.optimizer.load_own_variables(store_of(compact.optimizer))
    for kind in ("momentum", "velocity"):
        for a, b in zip(values(wide.optimizer, kind), values(back.optimizer, kind), strict=True):
            assert b.dtype == np.float32
            # Half a spacing: in bfloat16 2**-8 of the value, in codes 2 / 127 or 4 / 255 of the
            # largest.
            np.testing.assert_allclose(a, b, rtol=2**-8, atol=0.008 * np.abs(a).max())
    again = make_model(keras.optimizers.Adam(0.01))
    again.optimizer.build(again.trainable_variables)
    again.optimizer.load_own_variables(store_of(back.optimizer))
    np.testing.assert_array_equal(
        values(again.optimizer, "momentum")[0], values(back.optimizer, "momentum")[0]
    )


def test_files_without_master_weights_start_from_the_variables():
    plain = make_model(Adam(1e-4, state_dtype="float32"), "bfloat16")
    train(plain, 2)
    optimizer = Adam(1e-4, state_dtype="float32", master_weights=True)
    model = make_model(optimizer, "bfloat16")
    model.set_weights(plain.get_weights())
    optimizer.build(model.trainable_variables)
    optimizer.load_own_variables(store_of(plain.optimizer))
    train(model, 1)
    for variable, master in zip(
        model.trainable_variables, values(optimizer, "master"), strict=True
    ):
        np.testing.assert_array_equal(variable.numpy(), master.astype(ml_dtypes.bfloat16))


def test_a_file_of_another_model_changes_nothing():
    model = make_model(Adam(state_dtype="int8"))
    train(model, 1)
    store = store_of(model.optimizer)
    variable = keras.Variable(np.zeros((70, 70)), dtype="float32")
    other = keras_adam.Adam(state_dtype="int8")
    other.build([variable])
    with pytest.warns(keras_adam.StateNotLoadedWarning, match="does not fit optimizer"):
        other.load_own_variables(store)
    assert int(other.iterations.numpy()) == 0


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute is TensorFlow's")
@pytest.mark.parametrize("state_dtype", ["bfloat16", "int8"])
def test_two_replicas_keep_the_same_codes(state_dtype, two_replicas):
    import tensorflow as tf

    with two_replicas.scope():
        variable = keras.Variable(np.zeros(5000), dtype="float32")
        optimizer = keras_adam.Adam(0.01, state_dtype=state_dtype)
        optimizer.build([variable])
    alone = keras.Variable(np.zeros(5000), dtype="float32")
    single = keras_adam.Adam(0.01, state_dtype=state_dtype)

    @tf.function
    def step(gradient):
        two_replicas.run(lambda: optimizer.apply([gradient / 2], [variable]))

    for i in range(4):
        gradient = tf.constant(np.random.default_rng(i).normal(size=5000), tf.float32)
        step(gradient)
        single.apply([gradient], [alone])
    for ours in optimizer.variables[2:]:
        copies = [copy.numpy() for copy in ours.value.values]
        np.testing.assert_array_equal(copies[0], copies[1])
    np.testing.assert_allclose(variable.numpy(), alone.numpy(), rtol=0, atol=1e-6)
