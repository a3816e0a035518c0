"""Updates by TensorFlow's own operations, which need no compilation.

`ResourceApplyAdam` goes through a large variable once, in blocks; XLA's program for a CPU makes
three loops over it. For a variable of medium size, operations in place are faster. XLA can also
compile these operations, as a part of a step that it compiles as a whole.
"""

import numbers as python_numbers

import numpy as np
import tensorflow as tf

from keras_adam.annotations import Array, Flag, Scalar, Variable
from keras_adam.backends.interface import Assign, TrackedVariable
from keras_adam.math import adam, sparse, step, storage
from keras_adam.math.adam import Numbers, Scalars
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows

# The kernel and the operations compute average + (value - average) * (1 - beta). With a small beta,
# digits cancel if the value is much smaller than the average, and the result may be zero.
LEAST_BETA = 0.5

# The kernel computes 1 - beta from beta in the variable's dtype, and digits cancel near 1. In
# float32, 1 - 0.999 has a relative error of 1.3e-5, and 1 - 0.9999 one of 1.7e-4. 1 - 0.99999999 is
# zero, because 0.99999999 is rounded to 1.
LARGEST_ERROR = 2e-5


def betas_fit(numbers: Numbers) -> bool:
    """Say whether these operations are accurate with these betas.

    If a beta is a tensor, its value is not known here, and the result is false.
    """
    return all(map(_beta_fits, (numbers.one_minus_beta_1, numbers.one_minus_beta_2)))


def _beta_fits(one_minus_beta: Scalar) -> bool:
    if not isinstance(one_minus_beta, python_numbers.Real):
        return False
    one_minus_beta = float(one_minus_beta)
    beta = 1 - one_minus_beta
    error = abs((1 - float(np.float32(beta))) / one_minus_beta - 1)
    return beta >= LEAST_BETA and error <= LARGEST_ERROR


def scalars(numbers: Numbers, updates: Scalar, dtype: str) -> Scalars:
    """Return the scalars, in `dtype`, of the step that follows `updates` earlier ones.

    `numbers` and `updates` are float64 scalars. The bias correction uses the betas as the kernel
    sees them, rounded to `dtype`.
    """
    rounded = numbers._replace(
        one_minus_beta_1=_as_seen(numbers.one_minus_beta_1, dtype),
        one_minus_beta_2=_as_seen(numbers.one_minus_beta_2, dtype),
    )
    return Scalars(*(tf.cast(scalar, dtype) for scalar in adam.scalars(rounded, updates)))


def _as_seen(one_minus_beta: Scalar, dtype: str) -> Scalar:
    return 1 - tf.cast(tf.cast(1 - one_minus_beta, dtype), tf.float64)


def by_kernel(
    tracked: TrackedVariable, gradient: Array | None, scalars: Scalars, options: Options
) -> None:
    """Take a step with the clipped mean gradient, or without one, by TensorFlow's Adam kernel."""
    slots = tracked.slots
    if gradient is not None:
        if tracked.decays:
            slots.variable.assign_sub(slots.variable * scalars.decay)
        zero = tf.zeros((), gradient.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=slots.variable.handle,
            m=slots.momentum.handle,
            v=slots.velocity.handle,
            # Powers of zero switch the kernel's own bias correction off, because `math.adam`
            # computes it without cancellation.
            beta1_power=zero,
            beta2_power=zero,
            lr=scalars.step_size,
            beta1=1 - scalars.one_minus_beta_1,
            beta2=1 - scalars.one_minus_beta_2,
            epsilon=scalars.epsilon,
            grad=gradient,
        )
    _end_step(tracked, scalars, options, None)


def by_operations(
    tracked: TrackedVariable,
    gradient: Array | None,
    scalars: Scalars,
    options: Options,
    finite: Flag | None,
) -> None:
    """Take a step by operations that compute the same as the kernel, in the same order.

    If `finite`, a boolean scalar, is false, nothing changes.
    """
    variable, momentum, velocity, velocity_hat = tracked.slots[:4]
    if gradient is not None:
        change = (gradient - momentum) * scalars.one_minus_beta_1
        momentum = momentum.assign_add(_if(finite, change))
        change = (tf.square(gradient) - velocity) * scalars.one_minus_beta_2
        velocity = velocity.assign_add(_if(finite, change))
        if velocity_hat is not None:
            velocity = tf.maximum(velocity_hat, velocity)
            velocity_hat.assign(velocity)
        change = scalars.step_size * momentum / (tf.sqrt(velocity) + scalars.epsilon)
        if tracked.decays:
            change += variable * scalars.decay
        variable.assign_sub(_if(finite, change))
    _end_step(tracked, scalars, options, finite)


def _end_step(
    tracked: TrackedVariable, scalars: Scalars, options: Options, finite: Flag | None
) -> None:
    """Move the average and empty the accumulator, if the variable has them."""
    variable, *_, average, accumulator, _ = tracked.slots
    if average is not None:
        change = (variable - average) * scalars.one_minus_ema_momentum
        average = average.assign_add(_if(finite, change))
        if options.overwrites_with_average:
            is_due = scalars.overwrite_with_average > 0
            is_due = is_due if finite is None else tf.logical_and(is_due, finite)
            variable.assign(tf.where(is_due, average, variable))
    if accumulator is not None:
        if finite is None:
            accumulator.assign(tf.zeros_like(accumulator))
        else:
            keeps = tf.cast(tf.logical_not(finite), accumulator.dtype)
            accumulator.assign(tf.math.multiply_no_nan(accumulator, keeps))


def accumulate(
    tracked: TrackedVariable,
    gradient: Array,
    scalars: Scalars,
    options: Options,
    finite: Flag | None,
) -> None:
    """Add a gradient to the variable's accumulator."""
    slots = tracked.slots._replace(accumulator=None)
    mean = step.mean_gradient(gradient, slots, scalars, options)
    tracked.slots.accumulator.assign_add(_if(finite, mean))


def in_rows(
    tracked: TrackedVariable,
    gradient: Rows,
    scalars: Scalars,
    options: Options,
    finite: Flag | None,
    assign: Assign,
) -> None:
    """Update only the rows of a clipped gradient; each mention of a row has the row's whole sum.

    This is not compiled, because XLA would compile a program for each number of rows. This number
    may change at every step.
    """
    indices, values, _ = gradient
    finite = sparse.changes(gradient, finite)
    slots = storage.map_arrays(lambda variable: tf.gather(variable, indices), tracked.slots)
    new = step.next_slots(slots, values, tracked.decays, scalars, options, finite)

    def write(variable: Variable, rows: Array) -> None:
        assign(variable, tf.IndexedSlices(rows, indices))

    storage.map_arrays(write, tracked.slots, new)


def _if(finite: Flag | None, change: Array) -> Array:
    """Return the change; if `finite` is false, return zeros even for an infinite or NaN change."""
    if finite is None:
        return change
    return tf.math.multiply_no_nan(change, tf.cast(finite, change.dtype))
