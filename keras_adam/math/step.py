"""One optimizer step, from raw gradients to new slots, as pure functions of arrays.

The order is Keras's: unscale, accumulate, clip, decay, update, average. The caller first computes
what depends on all variables: the scale of `global_clipnorm` and, for `skip_nonfinite`, whether all
gradients are finite.
"""

from collections.abc import Sequence

from keras import ops

from keras_adam.annotations import Array, Flag, Scalar
from keras_adam.math import adam, sparse, storage
from keras_adam.math.adam import Scalars, Slots
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows, map_values, square_sum


def mean_gradient(
    gradient: Array | Rows, slots: Slots, scalars: Scalars, options: Options
) -> Array | Rows:
    """Return the gradient in its compute dtype, unscaled, averaged with the accumulator."""
    dtype = adam.compute_dtype(ops.dtype(slots.variable))

    def mean(values: Array) -> Array:
        values = ops.cast(values, dtype)
        if options.loss_scale:
            values = values / scalars.loss_scale
        if slots.accumulator is not None:
            values = (values + ops.cast(slots.accumulator, dtype)) / scalars.accumulation_steps
        return values

    return map_values(mean, gradient)


def next_accumulator(
    slots: Slots, gradient: Array, scalars: Scalars, options: Options, finite: Flag | None
) -> Array:
    """Return the accumulator plus one micro-batch, in the dtype of the accumulator."""
    gradient = mean_gradient(gradient, slots._replace(accumulator=None), scalars, options)
    accumulator = ops.cast(slots.accumulator, ops.dtype(gradient)) + gradient
    new = storage.cast_like(accumulator, slots.accumulator, options)
    return new if finite is None else ops.where(finite, new, slots.accumulator)


def all_finite(gradients: Sequence[Array | Rows]) -> Flag:
    """Say in a boolean scalar whether every element of every gradient is finite."""
    values = [g.values if isinstance(g, Rows) else g for g in gradients]
    return ops.all(ops.stack([ops.all(ops.isfinite(v)) for v in values]))


def global_clip_scale(square_sum: Scalar, bound: Scalar) -> Scalar:
    """Return the factor by which `global_clipnorm` multiplies every gradient.

    `square_sum` is the sum of squares of all gradients; `bound` has its dtype.

    If the global norm is not finite, the factor is NaN, and so is the whole step, as in Keras. Such
    gradients have no direction.
    """
    # The factor is computed only from the root, because XLA does not compute a root twice. If the
    # factor used `square_sum` itself, XLA would compute all square sums again for each variable,
    # and compile for half a minute.
    norm = ops.sqrt(square_sum)
    return bound / ops.maximum(norm, bound) + (norm - norm)


def clip(
    gradient: Array | Rows, scalars: Scalars, options: Options, clip_scale: Scalar | None
) -> Array | Rows:
    """Clip a gradient by the one of the three options that is on."""
    if options.clip == "clipvalue":
        bound = scalars.clip_bound
        return map_values(lambda g: ops.clip(g, -bound, bound), gradient)
    if options.clip == "clipnorm":
        clip_scale = adam.clip_scale(square_sum(gradient), scalars.clip_bound)
    if clip_scale is None:
        return gradient
    return map_values(lambda g: g * ops.cast(clip_scale, g.dtype), gradient)


def take_step(
    slots: Slots,
    gradient: Array | Rows | None,
    decays: bool,
    scalars: Scalars,
    options: Options,
    clip_scale: Scalar | None,
    finite: Flag | None,
) -> Slots:
    """Return the slots after the step with a mean gradient; for `Rows`, only the named rows."""
    if gradient is not None:
        gradient = clip(gradient, scalars, options, clip_scale)
    if isinstance(gradient, Rows):
        indices, values, _ = gradient
        finite = sparse.changes(gradient, finite)
        slots = storage.map_arrays(lambda slot: slot[indices], slots)
        gradient = values
    return next_slots(slots, gradient, decays, scalars, options, finite)


def next_slots(
    slots: Slots,
    gradient: Array | None,
    decays: bool,
    scalars: Scalars,
    options: Options,
    finite: Flag | None,
) -> Slots:
    """Return the slots after one step, each stored as before.

    `slots` and `gradient` (unscaled and clipped) have the same shape, that of the variable or of
    some of its rows. `decays` says whether the variable decays with these options. Without a
    gradient only the average moves, and the accumulator is emptied. If `finite` is false, nothing
    changes.
    """
    values, stored = storage.decode(slots), slots
    if gradient is not None:
        values, stored = _moments(values, slots, gradient, scalars, options)
    stored = _weights(values, stored, gradient is not None, decays, scalars, options)
    return storage.choose(finite, stored, slots)


def next_moments(
    slots: Slots, gradient: Array, scalars: Scalars, options: Options, finite: Flag | None
) -> Slots:
    """Return the slots after the first half of the step, which changes momentum and velocity."""
    _, stored = _moments(storage.decode(slots), slots, gradient, scalars, options)
    return storage.choose(finite, stored, slots)


def next_weights(
    slots: Slots,
    moves: bool,
    decays: bool,
    scalars: Scalars,
    options: Options,
    finite: Flag | None,
) -> Slots:
    """Return the slots after the second half of the step.

    `moves` says whether there was a gradient. Both halves together do the same as `next_slots` if
    the variable moves by the stored momentum and velocity.
    """
    stored = _weights(storage.decode(slots), slots, moves, decays, scalars, options)
    return storage.choose(finite, stored, slots)


def _moments(
    values: Slots, slots: Slots, gradient: Array, scalars: Scalars, options: Options
) -> tuple[Slots, Slots]:
    """Return the slots with the new momentum and velocity in two forms.

    The first has the values by which the variable moves, the second has the stored values.
    """
    values = adam.moments(values, gradient, scalars)
    stored = storage.encode_moments(values, slots, gradient, scalars, options)
    if options.moves_by_stored:
        values = storage.decode_moments(values, stored)
    return values, stored


def _weights(
    values: Slots, stored: Slots, moves: bool, decays: bool, scalars: Scalars, options: Options
) -> Slots:
    if moves:
        values = adam.move(values, decays, scalars)
    if values.accumulator is not None:
        values = values._replace(accumulator=ops.zeros_like(values.accumulator))
    values = adam.average(values, options.overwrites_with_average, scalars)
    return storage.encode_weights(values, stored, moves, scalars, options)
