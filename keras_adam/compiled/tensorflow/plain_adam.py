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

from keras_adam import rule
from keras_adam.compiled.tensorflow import routes
from keras_adam.rule import Numbers, Slots

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
    slots_and_gradients: Sequence[tuple[Slots, Any]], numbers: Numbers, updates: Any
) -> None:
    """Take the step that follows `updates` earlier ones.

    `numbers` and `updates` are float64 scalars; a gradient of another dtype is cast.
    """
    dtypes = {slots.variable.dtype for slots, _ in slots_and_gradients}
    arguments = {dtype: _arguments(numbers, updates, dtype) for dtype in dtypes}
    for slots, gradient in slots_and_gradients:
        dtype = slots.variable.dtype
        take = _by_kernel if routes.has_kernel(slots.variable) else _by_operations
        take(slots, tf.cast(gradient, dtype), arguments[dtype])


def _by_kernel(slots: Slots, gradient: Any, arguments: dict[str, Any]) -> None:
    # Its own bias correction is switched off, by powers of zero: `rule` knows it without
    # the cancellation.
    zero = tf.zeros((), gradient.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=slots.variable.handle,
        m=slots.momentum.handle,
        v=slots.velocity.handle,
        grad=gradient,
        beta1_power=zero,
        beta2_power=zero,
        **arguments,
    )


def _by_operations(slots: Slots, gradient: Any, arguments: dict[str, Any]) -> None:
    """Compute what the kernel computes, in the same order."""
    one_minus_beta_1, one_minus_beta_2 = 1 - arguments["beta1"], 1 - arguments["beta2"]
    momentum = slots.momentum.assign_add((gradient - slots.momentum) * one_minus_beta_1)
    velocity = slots.velocity.assign_add((tf.square(gradient) - slots.velocity) * one_minus_beta_2)
    step = arguments["lr"] * momentum / (tf.sqrt(velocity) + arguments["epsilon"])
    slots.variable.assign_sub(step)


def _arguments(numbers: Numbers, updates: Any, dtype: Any) -> dict[str, Any]:
    # The bias correction must be that of the betas as the kernel sees them.
    beta_1 = tf.cast(1 - numbers.one_minus_beta_1, dtype)
    beta_2 = tf.cast(1 - numbers.one_minus_beta_2, dtype)
    rounded = numbers._replace(
        one_minus_beta_1=1 - tf.cast(beta_1, tf.float64),
        one_minus_beta_2=1 - tf.cast(beta_2, tf.float64),
    )
    return {
        "lr": tf.cast(rule.scalars(rounded, updates).step_size, dtype),
        "beta1": beta_1,
        "beta2": beta_2,
        "epsilon": tf.cast(numbers.epsilon, dtype),
    }
