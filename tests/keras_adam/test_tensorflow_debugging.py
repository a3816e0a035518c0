"""TensorFlow's debugging tools work with the update."""

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND

pytestmark = pytest.mark.skipif(BACKEND != "tensorflow", reason="these are TensorFlow's tools")


@pytest.mark.parametrize("options", [{}, {"clipnorm": 1.0, "use_ema": True}])
def test_numerics_are_checked(options):
    import tensorflow as tf

    variable = keras.Variable(np.ones(100, "float32"))
    optimizer = keras_adam.Adam(0.1, **options)
    tf.debugging.enable_check_numerics()
    try:
        optimizer.apply([tf.ones(100)], [variable])
        np.testing.assert_allclose(variable.numpy(), 0.9, rtol=0, atol=1e-5)
        with pytest.raises(tf.errors.InvalidArgumentError, match="NaN"):
            optimizer.apply([tf.fill([100], np.nan)], [variable])
    finally:
        tf.debugging.disable_check_numerics()
    assert optimizer.jit_compile


def test_a_strategy_whose_replicas_share_variables_is_refused_by_its_name():
    import tensorflow as tf

    strategy = tf.distribute.experimental.CentralStorageStrategy(["CPU:0", "CPU:1"], "CPU:0")
    with strategy.scope():
        variable = keras.Variable([1.0])
        optimizer = keras_adam.Adam(0.1)
        optimizer.build([variable])
    with pytest.raises(ValueError, match="does not run under CentralStorageStrategy"):
        strategy.run(lambda: optimizer.apply([tf.ones(1)], [variable]))
