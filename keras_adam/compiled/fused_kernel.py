"""TensorFlow's own Adam kernel, for the variables that need nothing but Adam.

`ResourceApplyAdam` goes through a variable in blocks, where XLA on a CPU makes three
loops over all of it, and needs no compilation. Inside a step that XLA compiles as a
whole, XLA knows it too.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from keras_adam import rule
from keras_adam.compiled import Entry
from keras_adam.rule import Hyperparameters

# The kernel computes average + (value - average) * (1 - beta). With a small beta that
# cancels where the value is much smaller than the average, and may end at zero.
LEAST_BETA = 0.5

# It computes 1 - beta from beta in the variable's dtype, which cancels near 1: float32
# has 1 - 0.999 to 1.3e-5, 1 - 0.9999 to 1.7e-4, and takes 0.99999999 for 1.
LARGEST_ERROR = 2e-5


def fits(entry: Entry, gradient: Any, constants: Hyperparameters) -> bool:
    """Say whether the kernel does all that a step does to this variable, and well enough."""
    slots = entry.slots
    dtype = slots.variable.dtype.name
    return (
        isinstance(gradient, tf.Tensor)
        and dtype == rule.compute_dtype(dtype) == gradient.dtype.name
        and slots.velocity_hat is slots.average is slots.accumulator is None
        and not (entry.decays and constants.weight_decay)
        and not (constants.clipnorm or constants.clipvalue or constants.global_clipnorm)
        and not constants.loss_scale_factor
        and all(_beta_fits(beta, dtype) for beta in _betas(constants))
    )


def _beta_fits(beta: float | None, dtype: str) -> bool:
    if beta is None or beta < LEAST_BETA:
        return False
    return abs((1 - float(np.asarray(beta, dtype))) / (1 - beta) - 1) <= LARGEST_ERROR


def update(
    entries: list[Entry], gradients: list[Any], hyper: Hyperparameters, updates: Any
) -> None:
    """Take the step that follows `updates` earlier ones, one kernel for each variable."""
    arguments = {
        dtype: _arguments(hyper, updates, dtype)
        for dtype in {gradient.dtype.name for gradient in gradients}
    }
    for (slots, _), gradient in zip(entries, gradients, strict=True):
        tf.raw_ops.ResourceApplyAdam(
            var=slots.variable.handle,
            m=slots.momentum.handle,
            v=slots.velocity.handle,
            grad=gradient,
            **arguments[gradient.dtype.name],
        )


def _arguments(hyper: Hyperparameters, updates: Any, dtype: str) -> dict[str, Any]:
    # Its own bias correction is switched off, by powers of zero: `rule` knows it without
    # the cancellation. It must be that of the betas as the kernel sees them.
    beta_1, beta_2 = (float(np.asarray(beta, dtype)) for beta in _betas(hyper))
    rounded = dataclasses.replace(hyper, beta_1=beta_1, beta_2=beta_2)
    zero = tf.zeros((), dtype)
    return {
        "beta1_power": zero,
        "beta2_power": zero,
        "lr": rule.scalars(rounded, updates, dtype).step_size,
        "beta1": tf.constant(beta_1, dtype),
        "beta2": tf.constant(beta_2, dtype),
        "epsilon": tf.constant(hyper.epsilon, dtype),
    }


def _betas(hyper: Hyperparameters) -> tuple[Any, Any]:
    return hyper.beta_1, hyper.beta_2
