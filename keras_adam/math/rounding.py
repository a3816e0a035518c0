"""Rounding at random, with the same result in every run. Pure functions of arrays."""

from keras import ops

from keras_adam.annotations import Array
from keras_adam.math import bits
from keras_adam.math.adam import Scalars


def random_bits(source: Array, scalars: Scalars, salt: int) -> Array:
    """Return 32 random bits for each number of `source`, the same in every computation.

    The bits of the source are multiplied by an odd number, and a hash of the step and of `salt` is
    added. Over the steps the sum is uniformly distributed for any source. The sum has the same bits
    on every device and for every mention of a row. On a CPU, XLA would need more time for a hash of
    each number's position. Equal numbers of the source get equal bits.
    """
    key = bits.cast(scalars.step, "uint32") + bits.uint32(salt * 0x51ED270B % 2**32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        key = ops.bitwise_xor(key, bits.right_shift(key, shift)) * bits.uint32(factor)
    key = ops.bitwise_xor(key, bits.right_shift(key, 16))
    return scramble(source, salt) + key


def scramble(source: Array, salt: int) -> Array:
    """Return the bits of each number of `source`, float32, multiplied by an odd number."""
    odd = bits.uint32((0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1)[salt])
    return bits.bitcast(ops.cast(source, "float32"), "uint32") * odd


def round_at_random(values: Array, random: Array) -> Array:
    """Round to bfloat16, up or down at random, so that the mean result is the value.

    bfloat16 is the upper half of a float32. Random bits are added to the lower half, and carry into
    the upper half with the right probability.
    """
    values = ops.cast(values, "float32")
    # An addition to the bits of NaN could turn NaN into a number.
    lower = ops.where(ops.isfinite(values), bits.right_shift(random, 16), bits.uint32(0))
    upper = bits.right_shift(bits.bitcast(values, "uint32") + lower, 16)
    return bits.bitcast(bits.cast(upper, "uint16"), "bfloat16")


def to_fraction(random: Array) -> Array:
    """Return random bits as float32 numbers in [0, 1)."""
    return ops.cast(ops.cast(bits.right_shift(random, 9), "int32"), "float32") * 2.0**-23
