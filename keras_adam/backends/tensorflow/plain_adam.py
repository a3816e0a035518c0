"""The variables that need nothing but Adam, by TensorFlow's own operations.

`ResourceApplyAdam` goes through a large variable in blocks, where XLA on a CPU makes three
loops over all of it. For one of middling size, operations in place are faster. Neither needs a
compilation; inside a step that XLA compiles as a whole, XLA knows them too.
"""

import numbers as python_numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_adam.backends.interface import TrackedVariable
from keras_adam.backends.tensorflow import routes
from keras_adam.math import adam
from keras_adam.math.adam import Numbers, Scalars

# Both compute average + (value - average) * (1 - beta). With a small beta that
# cancels where the value is much smaller than the average, and may end at zero.
LEAST_BETA = 0.5

# The kernel computes 1 - beta from beta in the variable's dtype, which cancels near 1: float32
# has 1 - 0.999 to 1.3e-5, 1 - 0.9999 to 1.7e-4, and takes 0.99999999 for 1.
LARGEST_ERROR = 2e-5


def is_exact(numbers: Numbers) -> bool:
    """Say whether the kernel computes well with these betas; of tensors it is not known."""
    return all(_is_exact(n) for n in (numbers.one_minus_beta_1, numbers.one_minus_beta_2))


def _is_exact(one_minus_beta: Any) -> bool:
    if not isinstance(one_minus_beta, python_numbers.Real):
        return False
    one_minus_beta = float(one_minus_beta)
    beta = 1 - one_minus_beta
    error = abs((1 - float(np.float32(beta))) / one_minus_beta - 1)
    return beta >= LEAST_BETA and error <= LARGEST_ERROR


def update(
    entries_and_gradients: Sequence[tuple[TrackedVariable, Any]], numbers: Numbers, updates: Any
) -> None:
    """Take the step that follows `updates` earlier ones.

    `numbers` and `updates` are float64 scalars; a gradient of another dtype is cast.
    """
    dtypes = {entry.slots.variable.dtype for entry, _ in entries_and_gradients}
    scalars = {dtype: _scalars(numbers, updates, dtype) for dtype in dtypes}
    for entry, gradient in entries_and_gradients:
        dtype = entry.slots.variable.dtype
        take = _by_kernel if routes.has_kernel(entry) else _by_operations
        take(entry, tf.cast(gradient, dtype), scalars[dtype])


def _by_kernel(entry: TrackedVariable, gradient: Any, scalars: Scalars) -> None:
    zero = tf.zeros((), gradient.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=entry.slots.variable.handle,
        m=entry.slots.momentum.handle,
        v=entry.slots.velocity.handle,
        # Its own bias correction is switched off, by powers of zero: `math.adam` knows it without
        # the cancellation.
        beta1_power=zero,
        beta2_power=zero,
        lr=scalars.step_size,
        beta1=1 - scalars.one_minus_beta_1,
        beta2=1 - scalars.one_minus_beta_2,
        epsilon=scalars.epsilon,
        grad=gradient,
    )


def _by_operations(entry: TrackedVariable, gradient: Any, scalars: Scalars) -> None:
    """Compute what the kernel computes, in the same order, with decay."""
    variable, momentum, velocity = entry.slots[:3]
    momentum = momentum.assign_add((gradient - momentum) * scalars.one_minus_beta_1)
    velocity = velocity.assign_add((tf.square(gradient) - velocity) * scalars.one_minus_beta_2)
    change = scalars.step_size * momentum / (tf.sqrt(velocity) + scalars.epsilon)
    if entry.decays:
        change += variable * scalars.decay
    variable.assign_sub(change)


def _scalars(numbers: Numbers, updates: Any, dtype: Any) -> Scalars:
    # The bias correction must be that of the betas as the kernel sees them.
    rounded = numbers._replace(
        one_minus_beta_1=_as_seen(numbers.one_minus_beta_1, dtype),
        one_minus_beta_2=_as_seen(numbers.one_minus_beta_2, dtype),
    )
    return Scalars(*(tf.cast(scalar, dtype) for scalar in adam.scalars(rounded, updates)))


def _as_seen(one_minus_beta: Any, dtype: Any) -> Any:
    return 1 - tf.cast(tf.cast(1 - one_minus_beta, dtype), tf.float64)
