"""The mathematics of Adam: pure functions of arrays and scalars.

Nothing here uses a Keras class, a variable or a backend. The functions take and return arrays of
any backend. Arrays have the *compute dtype*: float32, or float64 for float64 variables. To store a
result in a narrower dtype, the caller rounds it once, at the end.
"""

from typing import NamedTuple

from keras import ops

from keras_adam.annotations import Array, Functions, Scalar, Slot

LARGEST_BOUND = 3.4e38
"""A clip bound that clips nothing, because it is about the largest float32 number."""


class Slots(NamedTuple):
    """One trainable variable and the state that the optimizer keeps for it.

    The fields are all variables or all arrays, of the same shape. Only momentum, velocity and
    velocity_hat may be stored in blocks (`blocks.Quantized`). A field that the present options do
    not need is `None`.
    """

    variable: Slot
    momentum: Slot
    velocity: Slot
    velocity_hat: Slot = None
    average: Slot = None
    accumulator: Slot = None
    master: Slot = None
    """The float32 copy of the variable; the variable is this copy, rounded."""


class Numbers(NamedTuple):
    """The numbers that a user can set: Python numbers, or scalar arrays.

    All of them are inputs of the compiled programs, so that a new value compiles
    nothing. A number close to one is given as its distance from one, because float32 holds the
    distance more exactly. If 1 - 0.999 is computed in float64 and then rounded to float32, it has
    seven correct digits. If it is computed in float32, it has only four. A number whose option is
    off is not used.
    """

    learning_rate: Scalar
    one_minus_beta_1: Scalar
    one_minus_beta_2: Scalar
    epsilon: Scalar
    weight_decay: Scalar = 0.0
    clip_bound: Scalar = 0.0
    loss_scale: Scalar = 1.0
    accumulation_steps: Scalar = 1.0
    one_minus_ema_momentum: Scalar = 0.0
    ema_overwrite_frequency: Scalar = 1.0


class Scalars(NamedTuple):
    """The numbers of a step that all variables of a compute dtype share, in that dtype."""

    step_size: Scalar
    one_minus_beta_1: Scalar
    one_minus_beta_2: Scalar
    epsilon: Scalar
    decay: Scalar
    """The share of its value that a variable loses: learning_rate * weight_decay."""
    clip_bound: Scalar
    loss_scale: Scalar
    accumulation_steps: Scalar
    one_minus_ema_momentum: Scalar
    overwrite_with_average: Scalar
    """1 in the steps that set variables to their averages, else 0."""
    step: Scalar
    """The number of this step, counted from 1, for rounding at random."""


def compute_dtype(dtype: str) -> str:
    """Return the dtype to compute in for variables of `dtype`: float32 or better."""
    return "float64" if dtype == "float64" else "float32"


def is_half(dtype: str) -> bool:
    """Say whether numbers of `dtype` have half the bits of float32, so that small steps are lost.

    This is false for integers. Their compute dtype differs too, but they have no fractions.
    """
    return dtype in ("bfloat16", "float16")


def one_minus_power(one_minus_beta: Scalar, step: Scalar, functions: Functions = ops) -> Scalar:
    """Return 1 - beta**step, without the cancellation that float32 has at small steps.

    `one_minus_beta` is a scalar array in (0, 1], `step` a scalar array >= 1 of the same dtype.
    """
    return -functions.expm1(step * functions.log1p(-one_minus_beta))


def scalars(numbers: Numbers, updates: Scalar, functions: Functions = ops) -> Scalars:
    """Compute the scalars of the step that follows `updates` earlier ones.

    All `numbers` and `updates` are scalar arrays of one floating dtype, and so are the results.
    They may also be objects of another type, for example Python numbers, if `functions` accepts
    this type. The bias corrections are included in the step size,

        step_size = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t),  t = updates + 1

    (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, the last formula of section 2).
    """
    step = updates + 1
    step_size = (
        numbers.learning_rate
        * functions.sqrt(one_minus_power(numbers.one_minus_beta_2, step, functions))
        / one_minus_power(numbers.one_minus_beta_1, step, functions)
    )
    # The first average is the first value, because there is no earlier value.
    one_minus_ema_momentum = functions.where(
        step > 1,
        numbers.one_minus_ema_momentum,
        functions.ones_like(numbers.one_minus_ema_momentum),
    )
    return Scalars(
        step_size,
        numbers.one_minus_beta_1,
        numbers.one_minus_beta_2,
        numbers.epsilon,
        numbers.learning_rate * numbers.weight_decay,
        # A bound of zero clips nothing, as a number and as a tensor.
        functions.where(numbers.clip_bound > 0, numbers.clip_bound, LARGEST_BOUND),
        numbers.loss_scale,
        numbers.accumulation_steps,
        one_minus_ema_momentum,
        functions.cast(
            functions.equal(step % numbers.ema_overwrite_frequency, 0), functions.dtype(step)
        ),
        step,
    )


def clip_scale(square_sum: Scalar, bound: Scalar) -> Scalar:
    """Return the factor that reduces the norm of a gradient to at most `bound`."""
    return bound / ops.maximum(ops.sqrt(square_sum), bound)


def moving_average(average: Array, value: Array, one_minus_beta: Scalar) -> Array:
    """Return beta * average + (1 - beta) * value.

    In this form the error in float32 is at most one rounding of `average`. In the shorter form,
    average + (value - average) * (1 - beta), digits cancel if beta is small and the value is much
    smaller than the average. The velocity could then become zero or negative.
    """
    return (average - average * one_minus_beta) + value * one_minus_beta


def moments(slots: Slots, gradient: Array, scalars: Scalars) -> Slots:
    """Return the slots with momentum and velocity after one Adam step.

        momentum <- beta_1 * momentum + (1 - beta_1) * gradient
        velocity <- beta_2 * velocity + (1 - beta_2) * gradient**2

    Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1; `velocity_hat`, if there is
    one, is the running maximum of the velocity (AMSGrad; Reddi et al. 2018, algorithm 2).
    """
    momentum = moving_average(slots.momentum, gradient, scalars.one_minus_beta_1)
    velocity = moving_average(slots.velocity, ops.square(gradient), scalars.one_minus_beta_2)
    velocity_hat = slots.velocity_hat
    if velocity_hat is not None:
        velocity_hat = ops.maximum(velocity_hat, velocity)
    return slots._replace(momentum=momentum, velocity=velocity, velocity_hat=velocity_hat)


def move(slots: Slots, decays: bool, scalars: Scalars) -> Slots:
    """Return the slots with the variable moved by its new momentum and velocity.

        variable <- (1 - learning_rate * weight_decay) * variable
                    - step_size * momentum / (sqrt(velocity) + epsilon)

    `decays` says whether weight decay applies to this variable. `velocity_hat`, if there is one, is
    used instead of the velocity.

    Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, section 2, with the "epsilon
    hat" of its last formula; decoupled weight decay after Loshchilov & Hutter 2019,
    https://arxiv.org/abs/1711.05101, algorithm 2.
    """
    velocity = slots.velocity if slots.velocity_hat is None else slots.velocity_hat
    variable = slots.variable
    if decays:
        variable = variable - variable * scalars.decay
    change = scalars.step_size * slots.momentum / (ops.sqrt(velocity) + scalars.epsilon)
    return slots._replace(variable=variable - change)


def average(slots: Slots, overwrites: bool, scalars: Scalars) -> Slots:
    """Move the average towards the variable.

    average <- ema_momentum * average + (1 - ema_momentum) * variable

    If `overwrites` is true, the variable is set to the average in the steps in which
    `scalars.overwrite_with_average` is 1.
    """
    if slots.average is None:
        return slots
    average = moving_average(slots.average, slots.variable, scalars.one_minus_ema_momentum)
    variable = slots.variable
    if overwrites:
        variable = ops.where(scalars.overwrite_with_average > 0, average, variable)
    return slots._replace(variable=variable, average=average)
