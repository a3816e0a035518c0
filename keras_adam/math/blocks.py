"""Numbers as eight-bit codes, with a scale for each block. Pure functions of arrays."""

import math
from typing import NamedTuple

from keras import ops
from keras.backend import standardize_dtype

from keras_adam.annotations import Array, Dtype, Shape
from keras_adam.math.bits import bitcast

BLOCK_SIZE = 256
"""The number of codes that share a scale."""

LEAST_QUANTIZED = 4096
"""The least size of a variable with codes; smaller variables need little memory in float32."""


class Quantized(NamedTuple):
    """Eight-bit codes, and a scale for each block: the value that the largest code stands for.

    `codes` has the shape of the variable. Its numbers in row-major order form blocks of
    `BLOCK_SIZE`; the last block may be shorter. `scale` has shape `(number of blocks,)` and is
    float32.

        momentum = scale * sign(code) * (code / 127)**2      int8
        velocity = scale * (code / 255)**4                   uint8

    Both are finer near zero, like the tables of Dettmers et al. 2022
    (https://arxiv.org/abs/2110.02861, section 2), but need no look-up. A velocity that is not zero
    never has the code zero, because the next step would divide by its root.
    """

    codes: Array
    scale: Array


def is_quantized(shape: Shape) -> bool:
    """Say whether a variable of this shape is large enough for codes."""
    return math.prod(shape) >= LEAST_QUANTIZED


def block_count(shape: Shape) -> int:
    """Return the number of blocks; the last block may be shorter."""
    return -(-math.prod(shape) // BLOCK_SIZE)


def dequantize(quantized: Quantized) -> Array:
    """Return the float32 values of the codes."""
    codes = _to_blocks(ops.cast(quantized.codes, "float32"))
    if _is_signed(quantized.codes.dtype):
        shares = codes * ops.abs(codes) / 127**2
    else:
        shares = ops.square(ops.square(codes / 255))
    return _from_blocks(shares * quantized.scale[:, None], quantized.codes.shape)


def quantize(values: Array, scale: Array, dtype: str, chance: Array | float = 0.5) -> Quantized:
    """Return values as codes of `dtype`, int8 for a momentum or uint8 for a velocity.

    A value between two codes is rounded up or down. `chance`, in [0, 1), decides: with 0.5 a value
    is rounded to the nearer code, with random numbers it is rounded at random. A value beyond the
    scale, or NaN, gets the largest code.
    """
    is_signed = _is_signed(dtype)
    blocks = _to_blocks(ops.cast(values, "float32"))
    if not isinstance(chance, float):
        chance = _to_blocks(chance)
    # The inverse of a very small scale would overflow. With the inverse 0, the values count as 0.
    inverse = ops.where(scale > 1e-37, 1 / ops.maximum(scale, 1e-37), 0.0)[:, None]
    if is_signed:
        size = 127 * ops.sqrt(ops.abs(blocks) * inverse)
        size = _at_most(ops.floor(size + chance), 127)
        codes = ops.where(blocks < 0, -size, size)
    else:
        size = 255 * ops.sqrt(ops.sqrt(blocks * inverse))
        size = _at_most(ops.floor(size + chance), 255)
        codes = ops.maximum(size, ops.cast(blocks > 0, "float32"))
    return Quantized(_from_blocks(_to_integers(codes, is_signed), values.shape), scale)


def _is_signed(dtype: Dtype) -> bool:
    return standardize_dtype(dtype) == "int8"


def _at_most(values: Array, bound: int) -> Array:
    # A comparison with NaN is false, so NaN becomes `bound`.
    return ops.where(values < bound, values, float(bound))


def _to_integers(codes: Array, is_signed: bool) -> Array:
    """Convert whole float32 numbers to integers.

    XLA's own conversion is not used, because it checks for overflow.
    """
    integers = ops.cast(bitcast(codes + 1.5 * 2.0**23, "uint32"), "uint8")
    return bitcast(integers, "int8") if is_signed else integers


def largest_of_blocks(values: Array) -> Array:
    """Return the largest absolute value of each block."""
    # XLA would first store the absolute values in an array.
    blocks = _to_blocks(values)
    return ops.maximum(ops.max(blocks, axis=1), -ops.min(blocks, axis=1))


def _to_blocks(values: Array) -> Array:
    """Return values with shape (blocks, `BLOCK_SIZE`); the last block is padded with zeros."""
    flat = ops.reshape(values, (-1,))
    missing = -flat.shape[0] % BLOCK_SIZE
    if missing:
        flat = ops.pad(flat, [(0, missing)])
    return ops.reshape(flat, (-1, BLOCK_SIZE))


def _from_blocks(blocks: Array, shape: Shape) -> Array:
    flat = ops.reshape(blocks, (-1,))
    count = math.prod(shape)
    return ops.reshape(flat if flat.shape[0] == count else flat[:count], shape)
