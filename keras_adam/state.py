"""How an optimizer stores its state: as it is, in bfloat16, or in blocks of eight-bit codes.

Pure functions of arrays. A step decodes the state, computes in float32, and encodes last.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from keras_adam import rule
from keras_adam.compiled.bits import bitcast
from keras_adam.options import Options
from keras_adam.rule import Array, Scalars, Slots

BLOCK_SIZE = 256
"""How many numbers share a scale."""

LEAST_QUANTIZED = 4096
"""Smaller variables keep float32 with `state_dtype="int8"`: they hold no memory to speak of."""

LARGEST_FLOAT16 = 65504.0
MOMENTS = ("momentum", "velocity", "velocity_hat")


class Quantized(NamedTuple):
    """Eight-bit codes, and what the largest code of each block stands for.

    `codes` has the shape of the variable, whose numbers in row-major order make the blocks of
    `BLOCK_SIZE`; the last one may be short. `scale` has shape `(number of blocks,)` and is float32.

        momentum = scale * sign(code) * (code / 127)**2      int8
        velocity = scale * (code / 255)**4                   uint8

    Both are finer near zero, as the tables of Dettmers et al. 2022 are
    (https://arxiv.org/abs/2110.02861, section 2), but need no look-up. A velocity other than
    zero never has the code zero, since the next step would divide by its root.
    """

    codes: Any
    scale: Any


def slot_dtype(name: str, shape: Any, dtype: str, state_dtype: str | None, has_master: bool) -> str:
    """Return the dtype in which the slot `name` of a variable is stored."""
    if name in MOMENTS:
        if state_dtype == "int8":
            return ("int8" if name == "momentum" else "uint8") if is_quantized(shape) else "float32"
        return state_dtype or dtype
    # An average of half precision would not see what the master weights add up.
    return rule.compute_dtype(dtype) if has_master else dtype


def is_quantized(shape: Any) -> bool:
    """Say whether a variable of this shape is large enough for codes."""
    return math.prod(shape) >= LEAST_QUANTIZED


def block_count(shape: Any) -> int:
    """Return the number of blocks, the last of which may be short."""
    return -(-math.prod(shape) // BLOCK_SIZE)


def map_arrays(function: Any, slots: Slots) -> Slots:
    """Apply `function` to each array of the slots; a slot that is `None` stays so."""

    def each(slot: Any) -> Any:
        if slot is None:
            return None
        return Quantized(*map(function, slot)) if isinstance(slot, Quantized) else function(slot)

    return Slots(*map(each, slots))


def arrays(slots: Slots) -> list[Any]:
    """Return the arrays of the slots, in order."""
    found: list[Any] = []
    map_arrays(found.append, slots)
    return found


def choose(condition: Array | None, new: Slots, old: Slots) -> Slots:
    """Return `new` if the boolean scalar `condition` holds or is `None`, else `old`."""
    if condition is None:
        return new
    left = iter(arrays(old))
    return map_arrays(lambda array: ops.where(condition, array, next(left)), new)


def decode(slots: Slots) -> Slots:
    """Return the values of the slots in the compute dtype, each of the variable's shape.

    Where the variable is not its master weight rounded, somebody has set it, and it counts.
    """
    dtype = rule.compute_dtype(ops.dtype(slots.variable))
    values = Slots(*(None if slot is None else decode_slot(slot, dtype) for slot in slots))
    if slots.master is None:
        return values
    # As bits: XLA takes a value that is rounded and cast back for the value itself.
    rounded = bitcast(ops.cast(slots.master, slots.variable.dtype), "uint16")
    is_own = ops.equal(rounded, bitcast(slots.variable, "uint16"))
    return values._replace(variable=ops.where(is_own, values.master, values.variable))


def decode_moments(values: Slots, stored: Slots) -> Slots:
    """Return `values` with the momentum and velocity that were stored."""
    dtype = ops.dtype(values.variable)
    moments = {name: getattr(stored, name) for name in MOMENTS}
    return values._replace(
        **{name: None if m is None else decode_slot(m, dtype) for name, m in moments.items()}
    )


def decode_slot(slot: Any, dtype: str) -> Array:
    """Return the values of one slot in `dtype`."""
    if not isinstance(slot, Quantized):
        return ops.cast(slot, dtype)
    is_signed = ops.dtype(slot.codes) == "int8"
    codes = _to_blocks(ops.cast(slot.codes, "float32"))
    share = codes * ops.abs(codes) / 127**2 if is_signed else _fourth_power(codes / 255)
    return ops.cast(_from_blocks(share * slot.scale[:, None], slot.codes.shape), dtype)


def encode_moments(
    values: Slots, old: Slots, gradient: Array, scalars: Scalars, options: Options
) -> Slots:
    """Return `old` with momentum and velocity set to `values`, those after this gradient."""
    if isinstance(old.momentum, Quantized):
        return _encode_blocks(values, old, gradient, scalars)
    encoded: dict[str, Any] = {}
    for salt, name in enumerate(MOMENTS):
        value, was = getattr(values, name), getattr(old, name)
        if was is None:
            encoded[name] = None
        elif options.state_dtype == "bfloat16":
            encoded[name] = round_at_random(value, random_bits(gradient, scalars, salt))
        else:
            encoded[name] = cast_like(value, was, options)
    return old._replace(**encoded)


def encode_weights(
    values: Slots, old: Slots, moves: bool, scalars: Scalars, options: Options
) -> Slots:
    """Return `old` with the variable, its average and its accumulator set to `values`."""
    variable = cast_like(values.variable, old.variable, options)
    if options.rounds_weights_at_random and moves and _is_bfloat16(old.variable):
        # Of the two at least one has many different bits, in whatever the state is stored.
        bits = random_bits(values.variable, scalars, 3) + _scrambled(values.momentum, 4)
        variable = round_at_random(values.variable, bits)

    def cast(name: str) -> Any:
        was = getattr(old, name)
        return None if was is None else cast_like(getattr(values, name), was, options)

    master = None if old.master is None else values.variable
    return old._replace(
        variable=variable, master=master, average=cast("average"), accumulator=cast("accumulator")
    )


def cast_like(values: Array, old: Array, options: Options) -> Array:
    """Round to the dtype of `old`.

    With `skip_nonfinite`, what leaves the range of float16 (an accumulator, a velocity) stays
    at its end: an infinity would turn into NaN at the next step, and never leave.
    """
    if options.skip_nonfinite and ops.dtype(old) == "float16":
        values = ops.clip(values, -LARGEST_FLOAT16, LARGEST_FLOAT16)
    return ops.cast(values, old.dtype)


def _is_bfloat16(array: Array) -> bool:
    return ops.dtype(array) == "bfloat16"


def random_bits(source: Array, scalars: Scalars, salt: int) -> Array:
    """Return 32 random bits for each number of `source`, the same whenever they are computed.

    A hash of the step and of `salt` shifts what a multiplication makes of the source's own
    bits. Whatever these are, over the steps the sum is equally distributed. Unlike a hash of the
    position, this costs XLA on a CPU no time, and is the same on every device and for every
    mention of a row. Numbers of one source are rounded alike.
    """
    key = ops.cast(scalars.step, "uint32") + np.uint32(salt * 0x51ED270B % 2**32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        key = ops.bitwise_xor(key, ops.right_shift(key, np.uint32(shift))) * np.uint32(factor)
    key = ops.bitwise_xor(key, ops.right_shift(key, np.uint32(16)))
    return _scrambled(source, salt) + key


def _scrambled(source: Array, salt: int) -> Array:
    odd = np.uint32((0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1)[salt])
    return bitcast(ops.cast(source, "float32"), "uint32") * odd


def round_at_random(values: Array, bits: Array) -> Array:
    """Round to bfloat16, up or down at random, so that the mean of the results is the value.

    bfloat16 has the upper half of a float32: what is added to the lower half carries with the
    probability that is due.
    """
    values = ops.cast(values, "float32")
    # An addition to the bits of NaN could make a number of it.
    lower = ops.where(ops.isfinite(values), ops.right_shift(bits, np.uint32(16)), np.uint32(0))
    upper = ops.right_shift(bitcast(values, "uint32") + lower, np.uint32(16))
    return bitcast(ops.cast(upper, "uint16"), "bfloat16")


def _encode_blocks(values: Slots, old: Slots, gradient: Array, scalars: Scalars) -> Slots:
    """Encode in blocks.

    The scale of a block takes the step that its numbers take, with the largest gradient of the
    block: so it bounds them, and no pass over the new values is needed to find their largest.
    """
    was = Slots(None, *(None if s is None else ops.cast(s.scale, gradient.dtype) for s in old[1:4]))
    new = rule.moments(was, largest_of_blocks(gradient), scalars)
    # A block in which something overflows, or is not a number, keeps its scales.
    is_finite = ops.isfinite(ops.cast(new.velocity, "float32"))
    encoded = {}
    for salt, name in enumerate(MOMENTS):
        slot = getattr(old, name)
        if slot is not None:
            scale = ops.cast(getattr(new, name), "float32")
            scale = ops.where(is_finite, scale, slot.scale)
            chance = ops.cast(
                ops.right_shift(random_bits(gradient, scalars, salt), np.uint32(9)), "int32"
            )
            chance = ops.cast(chance, "float32") * 2.0**-23
            encoded[name] = quantize(getattr(values, name), scale, slot.codes.dtype, chance)
    return old._replace(**encoded)


def quantize(values: Array, scale: Array, dtype: str, chance: Array | float = 0.5) -> Quantized:
    """Return values as codes of `dtype`, int8 for a momentum or uint8 for a velocity.

    `chance`, in [0, 1), decides between two codes: at random, or 0.5 for the nearer one. What is
    beyond the scale, or not a number, has the largest code.
    """
    is_signed = standardize_dtype(dtype) == "int8"
    blocks = _to_blocks(ops.cast(values, "float32"))
    if not isinstance(chance, float):
        chance = _to_blocks(chance)
    # A scale whose inverse overflows stands for nothing but zeros.
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


def _at_most(values: Array, bound: int) -> Array:
    # Of a comparison with NaN, which is false.
    return ops.where(values < bound, values, float(bound))


def _to_integers(codes: Array, is_signed: bool) -> Array:
    """Convert whole float32 numbers; XLA's own conversion looks for overflows first."""
    integers = ops.cast(bitcast(codes + 1.5 * 2.0**23, "uint32"), "uint8")
    return bitcast(integers, "int8") if is_signed else integers


def largest_of_blocks(values: Array) -> Array:
    """Return the largest absolute value of each block."""
    # Of the absolute values XLA would make an array first.
    blocks = _to_blocks(values)
    return ops.maximum(ops.max(blocks, axis=1), -ops.min(blocks, axis=1))


def _fourth_power(values: Array) -> Array:
    return ops.square(ops.square(values))


def _to_blocks(values: Array) -> Array:
    """Return values as an array of shape (blocks, `BLOCK_SIZE`), the last one padded with zeros."""
    flat = ops.reshape(values, (-1,))
    missing = -flat.shape[0] % BLOCK_SIZE
    if missing:
        flat = ops.pad(flat, [(0, missing)])
    return ops.reshape(flat, (-1, BLOCK_SIZE))


def _from_blocks(blocks: Array, shape: Any) -> Array:
    flat = ops.reshape(blocks, (-1,))
    count = math.prod(shape)
    return ops.reshape(flat if flat.shape[0] == count else flat[:count], shape)
