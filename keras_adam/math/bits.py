"""The bits of arrays, which Keras's operations do not show in all its releases."""

from typing import Any

import keras


def bitcast(array: Any, dtype: str) -> Any:
    """Return the bits of `array` as numbers of another `dtype` of the same size."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.bitcast(array, dtype)
    import jax

    return jax.lax.bitcast_convert_type(array, dtype)
