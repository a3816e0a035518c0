"""How an optimizer stores its state: unchanged, in bfloat16, or in blocks of eight-bit codes.

Pure functions of arrays. A step decodes the state, computes in float32, and encodes last.
"""

from collections.abc import Callable

from keras import ops

from keras_adam.annotations import Array, Flag, Shape, Slot
from keras_adam.math import adam, blocks
from keras_adam.math.adam import Scalars, Slots
from keras_adam.math.bits import bitcast
from keras_adam.math.blocks import Quantized
from keras_adam.math.options import Options
from keras_adam.math.rounding import random_bits, round_at_random, scramble, to_fraction

LARGEST_FLOAT16 = 65504.0
MOMENTS = ("momentum", "velocity", "velocity_hat")


def slot_dtype(
    name: str, shape: Shape, dtype: str, state_dtype: str | None, has_master: bool
) -> str:
    """Return the dtype in which the slot `name` of a variable is stored."""
    if name in MOMENTS:
        if state_dtype == "int8":
            codes = "int8" if name == "momentum" else "uint8"
            return codes if blocks.is_quantized(shape) else "float32"
        return state_dtype or dtype
    # An average in half precision would lose the small steps of the master weights.
    return adam.compute_dtype(dtype) if has_master else dtype


def map_arrays(function: Callable[..., Slot], slots: Slots, *others: Slots) -> Slots:
    """Apply `function` to each array of `slots`, together with the same array of each of `others`.

    All of them must be stored in the same way. A slot that is `None` stays `None`.
    """

    def each(slot: Slot, *its_others: Slot) -> Slot:
        if slot is None:
            return None
        if isinstance(slot, Quantized):
            return Quantized(*map(function, slot, *its_others))
        return function(slot, *its_others)

    return Slots(*map(each, slots, *others))


def moments_of(slots: Slots) -> Slots:
    """Return only the slots of momentum and velocity."""
    return slots._replace(variable=None, average=None, accumulator=None, master=None)


def without_moments(slots: Slots) -> Slots:
    """Return only the other slots."""
    return slots._replace(**dict.fromkeys(MOMENTS))


def choose(condition: Flag | None, new: Slots, old: Slots) -> Slots:
    """Return `new` if the boolean scalar `condition` holds or is `None`, else `old`."""
    if condition is None:
        return new
    return map_arrays(lambda *arrays: ops.where(condition, *arrays), new, old)


def decode(slots: Slots) -> Slots:
    """Return the values of the slots in the compute dtype, each with the variable's shape.

    If the variable differs from its rounded master weight, the user has assigned it, and the
    variable's value is used.
    """
    dtype = adam.compute_dtype(ops.dtype(slots.variable))
    values = Slots(*(None if slot is None else decode_slot(slot, dtype) for slot in slots))
    if slots.master is None:
        return values
    # The bits are compared, because XLA removes a cast to a narrower dtype and back.
    rounded = bitcast(ops.cast(slots.master, slots.variable.dtype), "uint16")
    is_own = ops.equal(rounded, bitcast(slots.variable, "uint16"))
    return values._replace(variable=ops.where(is_own, values.master, values.variable))


def decode_moments(values: Slots, stored: Slots) -> Slots:
    """Return `values` with the stored momentum and velocity."""
    dtype = ops.dtype(values.variable)
    moments = {name: getattr(stored, name) for name in MOMENTS}
    return values._replace(
        **{name: None if m is None else decode_slot(m, dtype) for name, m in moments.items()}
    )


def decode_slot(slot: Slot, dtype: str) -> Array:
    """Return the values of one slot in `dtype`."""
    if not isinstance(slot, Quantized):
        return ops.cast(slot, dtype)
    return ops.cast(blocks.dequantize(slot), dtype)


def encode_moments(
    values: Slots, old: Slots, gradient: Array, scalars: Scalars, options: Options
) -> Slots:
    """Return `old` with momentum and velocity set to `values`, the values after this gradient."""
    if isinstance(old.momentum, Quantized):
        return _encode_blocks(values, old, gradient, scalars)
    encoded: dict[str, Slot] = {}
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
    if options.rounds_weights_at_random and moves and ops.dtype(old.variable) == "bfloat16":
        # With any storage of the state, the variable or its momentum has many different bits.
        bits = random_bits(values.variable, scalars, 3) + scramble(values.momentum, 4)
        variable = round_at_random(values.variable, bits)

    def cast(name: str) -> Slot:
        was = getattr(old, name)
        return None if was is None else cast_like(getattr(values, name), was, options)

    master = None if old.master is None else values.variable
    return old._replace(
        variable=variable, master=master, average=cast("average"), accumulator=cast("accumulator")
    )


def cast_like(values: Array, old: Array, options: Options) -> Array:
    """Round to the dtype of `old`.

    With `skip_nonfinite`, a value beyond the range of float16 (in an accumulator or a velocity) is
    set to the end of the range. An infinity would become NaN at the next step, and stay NaN.
    """
    if options.skip_nonfinite and ops.dtype(old) == "float16":
        values = ops.clip(values, -LARGEST_FLOAT16, LARGEST_FLOAT16)
    return ops.cast(values, old.dtype)


def _encode_blocks(values: Slots, old: Slots, gradient: Array, scalars: Scalars) -> Slots:
    """Encode in blocks.

    The scale of a block is updated by the same formula as the numbers of the block, with the
    largest gradient of the block. So no number is larger than the scale, and the new values need
    not be read again to find the largest one.
    """
    scales = {name: getattr(old, name).scale for name in MOMENTS if getattr(old, name) is not None}
    was = Slots(None, **{name: ops.cast(scale, gradient.dtype) for name, scale in scales.items()})
    new = adam.moments(was, blocks.largest_of_blocks(gradient), scalars)
    # If a number of a block overflows or is NaN, the block keeps its scales.
    is_finite = ops.isfinite(ops.cast(new.velocity, "float32"))
    encoded = {}
    for salt, (name, scale) in enumerate(scales.items()):
        new_scale = ops.where(is_finite, ops.cast(getattr(new, name), "float32"), scale)
        chance = to_fraction(random_bits(gradient, scalars, salt))
        dtype = getattr(old, name).codes.dtype
        encoded[name] = blocks.quantize(getattr(values, name), new_scale, dtype, chance)
    return old._replace(**encoded)
