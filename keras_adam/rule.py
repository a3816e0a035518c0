"""The mathematics of Adam: pure functions of arrays and scalars.

Nothing here knows a Keras class, a variable or a backend; arrays of any backend
go in and come out. Arrays have the *compute dtype*: float32, or float64 for
float64 variables. Whoever stores a result in a narrower dtype rounds it once,
at the end.
"""

import dataclasses
import math
from typing import Any, NamedTuple

from keras import ops

# An array of whichever backend Keras runs on.
Array = Any


class Slots(NamedTuple):
    """One trainable variable and what the optimizer keeps for it.

    The fields are all variables or all arrays, of the same shape. A field that
    the options in force do not need is `None`.
    """

    variable: Any
    momentum: Any
    velocity: Any
    velocity_hat: Any = None
    average: Any = None
    accumulator: Any = None


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """The numbers that an update depends on, under their names in Keras.

    Python numbers are constants of the compiled program; scalar arrays are its
    inputs, so that a change of value compiles nothing. `learning_rate` is always
    an input. `None` switches the option off; `ema_momentum` is `None` without
    `use_ema`.
    """

    beta_1: Any
    beta_2: Any
    epsilon: float
    learning_rate: Any = None
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    ema_momentum: float | None = None
    ema_overwrite_frequency: int | None = None
    loss_scale_factor: float | None = None
    gradient_accumulation_steps: int | None = None


class Scalars(NamedTuple):
    """What one step computes once for all variables of a compute dtype."""

    learning_rate: Array
    step_size: Array
    ema_momentum: Array | None
    overwrite_with_average: Array | None


def compute_dtype(dtype: str) -> str:
    """Return the dtype to compute in for variables of `dtype`: float32 or better."""
    return "float64" if dtype == "float64" else "float32"


def one_minus_power(beta: Any, step: Array) -> Array:
    """Return 1 - beta**step without the cancellation that float32 suffers at small steps.

    `beta` is a number or a scalar array in [0, 1), `step` a scalar array >= 1 of
    the compute dtype.
    """
    if isinstance(beta, int | float):
        log_beta = math.log(beta) if beta > 0 else -math.inf
    else:
        log_beta = ops.log(ops.cast(beta, step.dtype))
    return -ops.expm1(step * log_beta)


def scalars(hyper: Hyperparameters, updates: Array, dtype: str) -> Scalars:
    """Compute the scalars of the step that follows `updates` earlier ones.

    The bias corrections are folded into the step size,

        step_size = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t),  t = updates + 1

    (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, the last formula of section 2).
    """
    step = ops.cast(updates, dtype) + 1
    learning_rate = ops.cast(hyper.learning_rate, dtype)
    step_size = (
        learning_rate
        * ops.sqrt(one_minus_power(hyper.beta_2, step))
        / one_minus_power(hyper.beta_1, step)
    )
    ema_momentum = overwrite = None
    if hyper.ema_momentum is not None:
        # The first average is the first value: there is nothing yet to average with.
        ema_momentum = ops.where(step > 1, ops.cast(hyper.ema_momentum, dtype), 0.0)
        if hyper.ema_overwrite_frequency:
            overwrite = ops.equal((updates + 1) % hyper.ema_overwrite_frequency, 0)
    return Scalars(learning_rate, step_size, ema_momentum, overwrite)


def unscale(gradient: Array, accumulator: Array | None, hyper: Hyperparameters) -> Array:
    """Undo the loss scale; with an accumulator, return the mean of it and the gradient."""
    if hyper.loss_scale_factor:
        gradient = gradient / hyper.loss_scale_factor
    if accumulator is not None:
        gradient = (gradient + accumulator) / hyper.gradient_accumulation_steps
    return gradient


def clip(gradient: Array, scale: Array | None, hyper: Hyperparameters) -> Array:
    """Clip one gradient by its norm, of which `scale` is the outcome, or by value."""
    if scale is not None:
        return gradient * ops.cast(scale, gradient.dtype)
    if hyper.clipvalue:
        return ops.clip(gradient, -hyper.clipvalue, hyper.clipvalue)
    return gradient


def clip_scale(square_sum: Array, clipnorm: float) -> Array:
    """Return the factor that brings a gradient of this square sum to norm `clipnorm` at most."""
    return clipnorm / ops.maximum(ops.sqrt(square_sum), clipnorm)


def moving_average(average: Array, value: Array, beta: Any) -> Array:
    """Return beta * average + (1 - beta) * value.

    Written so that float32 errs by no more than a rounding of `average`: float32
    holds 1 - 0.999 far better than 0.999, and the shorter
    average + (value - average) * (1 - beta) cancels where the value is much smaller
    than the average and beta is small: the velocity could reach zero, or less.
    """
    forget = ops.cast(1 - beta, ops.dtype(average))
    return (average - average * forget) + value * forget


def adam(
    slots: Slots, gradient: Array, decays: bool, scalars: Scalars, hyper: Hyperparameters
) -> Slots:
    """Return the slots after one Adam step.

        momentum <- beta_1 * momentum + (1 - beta_1) * gradient
        velocity <- beta_2 * velocity + (1 - beta_2) * gradient**2
        variable <- (1 - learning_rate * weight_decay) * variable
                    - step_size * momentum / (sqrt(velocity) + epsilon)

    `decays` says whether weight decay applies to this variable at all.

    Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, section 2, with the "epsilon
    hat" of its last formula; decoupled weight decay after Loshchilov & Hutter 2019,
    https://arxiv.org/abs/1711.05101, algorithm 2; with `velocity_hat`, the running
    maximum of the velocity takes its place (AMSGrad; Reddi et al. 2018, algorithm 2).
    """
    momentum = moving_average(slots.momentum, gradient, hyper.beta_1)
    velocity = moving_average(slots.velocity, ops.square(gradient), hyper.beta_2)
    scale, velocity_hat = velocity, slots.velocity_hat
    if velocity_hat is not None:
        scale = velocity_hat = ops.maximum(velocity_hat, velocity)
    variable = slots.variable
    if decays and hyper.weight_decay:
        variable = variable - variable * (hyper.weight_decay * scalars.learning_rate)
    variable = variable - scalars.step_size * momentum / (ops.sqrt(scale) + hyper.epsilon)
    return slots._replace(
        variable=variable, momentum=momentum, velocity=velocity, velocity_hat=velocity_hat
    )


def average(slots: Slots, scalars: Scalars) -> Slots:
    """Move the average towards the variable, and the variable to it where that is due.

    average <- ema_momentum * average + (1 - ema_momentum) * variable
    """
    if slots.average is None:
        return slots
    average = moving_average(slots.average, slots.variable, scalars.ema_momentum)
    variable = slots.variable
    if scalars.overwrite_with_average is not None:
        variable = ops.where(scalars.overwrite_with_average, average, variable)
    return slots._replace(variable=variable, average=average)
