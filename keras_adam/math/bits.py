"""Operations on the bits of arrays. Not all releases of Keras have these operations.

PyTorch cannot calculate with unsigned numbers of more than eight bits, so signed numbers are used
there. Sums and products of signed numbers have the same bits as those of unsigned numbers.
Comparisons for equality also have the same result.
"""

import keras
import numpy as np
from keras import ops

from keras_adam.annotations import Array, Scalar


def bitcast(array: Array, dtype: str) -> Array:
    """Return the bits of `array` as numbers of another `dtype` of the same size."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.bitcast(array, dtype)
    if backend == "torch":
        import torch

        return array.view(getattr(torch, _signed(dtype)))
    import jax

    return jax.lax.bitcast_convert_type(array, dtype)


def cast(array: Array, dtype: str) -> Array:
    """Convert whole numbers to an unsigned `dtype`; larger numbers keep their lower bits."""
    if keras.backend.backend() != "torch":
        return ops.cast(array, dtype)
    import torch

    if not isinstance(array, torch.Tensor):
        array = torch.tensor(int(array))
    integers = array.to(torch.int64) if array.is_floating_point() else array
    return integers.to(getattr(torch, _signed(dtype)))


def uint32(number: int) -> Scalar:
    """Return a number of 32 bits for calculations with arrays."""
    return _wrap(number) if keras.backend.backend() == "torch" else np.uint32(number)


def right_shift(bits: Array, count: int) -> Array:
    """Shift numbers of 32 bits to the right, and fill with zeros."""
    if keras.backend.backend() != "torch":
        return ops.right_shift(bits, np.uint32(count))
    return (bits >> count) & ((1 << (32 - count)) - 1)


def _signed(dtype: str) -> str:
    return dtype.removeprefix("u") if dtype in ("uint16", "uint32") else dtype


def _wrap(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31
