"""Variables on several devices, without a distribution strategy."""

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND, assert_same_training, random_arrays
from tests.reference import ReferenceAdam

if BACKEND != "tensorflow":
    pytest.skip("JAX moves arrays by itself", allow_module_level=True)

import tensorflow as tf

SHAPES = [(6, 3), (4,), (3, 2), (5,)]
OPTIONS = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.5, "weight_decay": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.5, "skip_nonfinite": True},
    "accumulation": {
        "gradient_accumulation_steps": 2,
        "global_clipnorm": 0.5,
        "use_ema": True,
        "ema_overwrite_frequency": 2,
    },
    "not_compiled": {"jit_compile": False, "clipnorm": 0.5},
}


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_variables_on_two_devices(options, traced):
    initial = [a.astype("float32") for a in random_arrays(SHAPES, 1)]
    known = {k: v for k, v in options.items() if k != "jit_compile"}
    reference = ReferenceAdam(learning_rate=0.01, **known).build(initial)
    variables = []
    for i, value in enumerate(initial):
        with tf.device(f"CPU:{i % 2}"):
            variables.append(keras.Variable(value))
    assert len({v.value.device for v in variables}) == 2
    optimizer = keras_adam.Adam(0.01, **options)
    optimizer.build(variables)

    def step(gradients):
        optimizer.apply(gradients, variables)

    step = tf.function(step, autograph=False) if traced else step
    for i in range(5):
        gradients = random_arrays(SHAPES, 100 + i)
        step([tf.constant(g, tf.float32) for g in gradients])
        reference.apply(gradients)
    assert_same_training(optimizer, reference, variables)


def test_all_variables_on_a_device_that_is_not_the_default():
    with tf.device("CPU:1"):
        variable = keras.Variable([1.0, 2.0])
    optimizer = keras_adam.Adam(0.1, clipnorm=10.0)
    optimizer.apply([tf.ones(2)], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.9, 1.9], atol=1e-6)
