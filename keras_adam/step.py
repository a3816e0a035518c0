"""One optimizer step, from raw gradients to new slots, as pure functions of arrays.

The order is Keras's: unscale, accumulate, clip, decay, update, average. What every
variable needs of all gradients (`Totals`) is computed once, before the first
variable is updated.
"""

from typing import NamedTuple

from keras import ops

from keras_adam import rule
from keras_adam.rule import Array, Hyperparameters, Scalars, Slots
from keras_adam.sparse import Rows, map_values, square_sum


class Totals(NamedTuple):
    """What a step must know of all gradients together; `None` where nobody asks.

    `clip_scale`: the factor that `global_clipnorm` asks for, a scalar. `finite`:
    whether every element of every gradient is finite, a boolean scalar.
    """

    clip_scale: Array | None = None
    finite: Array | None = None


def unscale(gradient: Array | Rows, slots: Slots, hyper: Hyperparameters) -> Array | Rows:
    """Return the gradient in its compute dtype, unscaled, averaged with the accumulator."""
    dtype = rule.compute_dtype(ops.dtype(slots.variable))
    accumulator = None if slots.accumulator is None else ops.cast(slots.accumulator, dtype)
    return map_values(lambda g: rule.unscale(ops.cast(g, dtype), accumulator, hyper), gradient)


def totals(gradients: list[Array | Rows], hyper: Hyperparameters, skip_nonfinite: bool) -> Totals:
    """Reduce unscaled gradients to the totals that the options in force need.

    A global norm that is not finite makes the whole step NaN, as in Keras: it has
    no direction.
    """
    clip_scale = finite = None
    if hyper.global_clipnorm:
        square_sums = [square_sum(g) for g in gradients]
        widest = "float64" if "float64" in map(ops.dtype, square_sums) else "float32"
        total = sum(ops.cast(s, widest) for s in square_sums)
        clip_scale = rule.clip_scale(total, hyper.global_clipnorm) + (total - total)
    if skip_nonfinite:
        values = [g.values if isinstance(g, Rows) else g for g in gradients]
        finite = ops.all(ops.stack([ops.all(ops.isfinite(v)) for v in values]))
    return Totals(clip_scale, finite)


def accumulate(slots: Slots, gradient: Array, hyper: Hyperparameters, totals: Totals) -> Array:
    """Return the accumulator with one more micro-batch in it, in its own dtype."""
    gradient = unscale(gradient, slots._replace(accumulator=None), hyper)
    accumulator = ops.cast(slots.accumulator, gradient.dtype) + gradient
    return _narrow(accumulator, slots.accumulator, totals)


def clip(gradient: Array | Rows, hyper: Hyperparameters, totals: Totals) -> Array | Rows:
    """Clip an unscaled gradient by whichever of the three options is set."""
    scale = totals.clip_scale
    if hyper.clipnorm:
        scale = rule.clip_scale(square_sum(gradient), hyper.clipnorm)
    return map_values(lambda g: rule.clip(g, scale, hyper), gradient)


def update(
    slots: Slots,
    gradient: Array | None,
    decays: bool,
    totals: Totals,
    scalars: dict[str, Scalars],
    hyper: Hyperparameters,
) -> Slots:
    """Return the slots after one step, each rounded once to the dtype that it came in.

    `slots` and `gradient` (unscaled and clipped) have one shape, that of the
    variable or of some of its rows. Without a gradient only the
    average moves and the accumulator empties.
    `scalars` holds the scalars of each compute dtype. Where `totals.finite` is
    false, everything stays as it was.
    """
    dtype = rule.compute_dtype(ops.dtype(slots.variable))
    new = Slots(*(None if value is None else ops.cast(value, dtype) for value in slots))
    if gradient is not None:
        new = rule.adam(new, gradient, decays, scalars[dtype], hyper)
    if new.accumulator is not None:
        new = new._replace(accumulator=ops.zeros_like(new.accumulator))
    new = rule.average(new, scalars[dtype])
    return Slots(
        *(
            None if value is None else _narrow(value, was, totals)
            for value, was in zip(new, slots, strict=True)
        )
    )


def _narrow(new: Array, old: Array, totals: Totals) -> Array:
    """Round `new` to the dtype of `old`, or keep `old` if the step is to be skipped."""
    new = ops.cast(new, ops.dtype(old))
    return new if totals.finite is None else ops.where(totals.finite, new, old)
