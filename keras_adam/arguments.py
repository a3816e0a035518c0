"""Reads the present arguments of an optimizer: the options and the numbers of a step."""

import numbers
from typing import TYPE_CHECKING

from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from keras_adam import validate
from keras_adam.annotations import Number, Scalar, Variable
from keras_adam.backends.interface import observes_operations
from keras_adam.math.adam import Numbers
from keras_adam.math.options import Clip, Options

if TYPE_CHECKING:
    from keras_adam.optimizer import Adam


def read_options(optimizer: "Adam") -> Options:
    """Return which parts of a step the optimizer's arguments switch on now."""
    clips: tuple[Clip, ...] = ("clipnorm", "global_clipnorm", "clipvalue")  # in Keras's order
    return Options(
        clip=next((name for name in clips if _is_on(getattr(optimizer, name))), None),
        weight_decay=_is_on(optimizer.weight_decay),
        loss_scale=_is_on(optimizer.loss_scale_factor),
        accumulation=_is_on(optimizer.gradient_accumulation_steps),
        overwrites_with_average=optimizer.use_ema and _is_on(optimizer.ema_overwrite_frequency),
        lazy=optimizer.lazy,
        skip_nonfinite=optimizer.skip_nonfinite,
        jit_compile=optimizer.jit_compile and not observes_operations(),
        state_dtype=optimizer.state_dtype,
        rounds_weights_at_random=optimizer.master_weights == "stochastic",
    )


def read_numbers(optimizer: "Adam", options: Options) -> Numbers:
    """Return the optimizer's numbers for this step; callables and schedules are called.

    Raises:
        TypeError: an option, or the result of its callable, is not a real scalar.
        ValueError: an option is an array whose shape is not ().

    """

    def value(name: str, is_on: bool = True) -> Scalar:
        return _value(name, getattr(optimizer, name), optimizer.iterations) if is_on else 1.0

    return Numbers(
        learning_rate=optimizer.learning_rate,
        one_minus_beta_1=1 - value("beta_1"),
        one_minus_beta_2=1 - value("beta_2"),
        epsilon=value("epsilon"),
        weight_decay=value("weight_decay", options.weight_decay),
        clip_bound=value(options.clip) if options.clip else 1.0,
        loss_scale=value("loss_scale_factor", options.loss_scale),
        accumulation_steps=value("gradient_accumulation_steps", options.accumulation),
        one_minus_ema_momentum=1 - value("ema_momentum", optimizer.use_ema),
        ema_overwrite_frequency=value("ema_overwrite_frequency", options.overwrites_with_average),
    )


def _is_on(value: Number | None) -> bool:
    """Say whether a number switches its option on: all but `None` and zero do."""
    if value is None:
        return False
    return float(value) != 0 if isinstance(value, numbers.Real) else True


def _value(name: str, value: Number, iterations: Variable) -> Scalar:
    """Return a Python number, or a scalar array."""
    if isinstance(value, numbers.Real):
        return float(value)
    if callable(value):
        is_schedule = isinstance(value, LearningRateSchedule)
        value = value(iterations) if is_schedule else value()
    if isinstance(value, numbers.Real):
        return float(value)
    validate.scalar(name, value)
    return ops.convert_to_tensor(value)
