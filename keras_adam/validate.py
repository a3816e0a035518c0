"""Checks of the constructor's arguments, before they are used."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from keras.backend import standardize_dtype

from keras_adam.annotations import Number, Variable
from keras_adam.backends.interface import path_of

# argument -> (right values in words, whether a number is right, may be None, may vary)
_NUMBERS = {
    "learning_rate": ("a finite number >= 0", lambda x: 0 <= x < math.inf, False, True),
    "beta_1": ("a number in [0, 1)", lambda x: 0 <= x < 1, False, True),
    "beta_2": ("a number in [0, 1)", lambda x: 0 <= x < 1, False, True),
    "epsilon": ("a finite number > 0", lambda x: 0 < x < math.inf, False, True),
    "weight_decay": ("a finite number >= 0", lambda x: 0 <= x < math.inf, True, True),
    "clipnorm": ("a number >= 0", lambda x: x >= 0, True, True),
    "clipvalue": ("a number >= 0", lambda x: x >= 0, True, True),
    "global_clipnorm": ("a number >= 0", lambda x: x >= 0, True, True),
    "loss_scale_factor": ("a finite number > 0", lambda x: 0 < x < math.inf, True, True),
    "gradient_accumulation_steps": (
        "an integer >= 2",
        lambda x: x == int(x) and x >= 2,
        True,
        False,
    ),
}

_BOOLEANS = ("amsgrad", "use_ema", "jit_compile")

_CHOICES = {
    "state_dtype": (None, "float32", "bfloat16", "int8"),
    "master_weights": (False, True, "stochastic"),
}


def constructor(**arguments: Any) -> None:
    """Check each argument of `keras_adam.Adam` on its own.

    Keras checks some other arguments, and the optimizer's properties check the rest.

    Raises:
        TypeError: an argument that must be a number or a boolean has another type.
        ValueError: a number is out of range, or an argument is not one of its choices.

    """
    numbers(**{name: arguments[name] for name in _NUMBERS})
    booleans(**{name: arguments[name] for name in _BOOLEANS})
    for name, choices in _CHOICES.items():
        choice(name, arguments[name], choices)


def numbers(**arguments: Number) -> None:
    """Check numbers against their ranges.

    `None` passes if the argument may be missing. If a number may vary, callables, schedules,
    variables and tensors pass too; `scalar` checks the results of callables later.

    Raises:
        TypeError: an argument has another type.
        ValueError: a number is out of range, or an array is not a scalar.

    """
    for name, value in arguments.items():
        expected, in_range, may_be_none, may_vary = _NUMBERS[name]
        if may_be_none:
            expected = f"{expected}, or None"
            if value is None:
                continue
        if may_vary and callable(value):
            continue
        if may_vary and (isinstance(value, keras.Variable) or ops.is_tensor(value)):
            scalar(name, value)
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = None
        if number is None or isinstance(value, bool | str):
            raise TypeError(f"`{name}` must be {expected}; received {value!r}.")
        if math.isnan(number) or not in_range(number):
            raise ValueError(f"`{name}` must be {expected}; received {value!r}.")


def scalar(name: str, value: object) -> None:
    """Check an array or a variable that is used as a number.

    Raises:
        TypeError: the value is not an array or a variable, or its dtype is not numeric.
        ValueError: the shape of the value is not ().

    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        raise TypeError(
            f"`{name}` must be, or return, a number or a scalar tensor; received {value!r}."
        )
    dtype = standardize_dtype(dtype)
    if "float" not in dtype and "int" not in dtype:
        raise TypeError(f"`{name}` must be of a numeric dtype; received a tensor of {dtype}.")
    if getattr(shape, "rank", 0) is not None and tuple(shape) != ():
        raise ValueError(
            f"`{name}` must be a scalar, of shape (); received a tensor of shape {tuple(shape)}."
        )


def booleans(**arguments: object) -> None:
    """Raise TypeError if an argument is not `True` or `False`."""
    for name, value in arguments.items():
        if not isinstance(value, bool):
            raise TypeError(f"`{name}` must be True or False; received {value!r}.")


def choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise ValueError if an argument is not one of the choices."""
    if not any(value is c or (isinstance(c, str) and value == c) for c in choices):
        *first, last = map(repr, choices)
        raise ValueError(f"`{name}` must be {', '.join(first)} or {last}; received {value!r}.")


def lazy_alone(lazy: bool, **others: object) -> None:
    """Raise ValueError if `lazy` is used with an option that changes every row at every step."""
    for name, value in others.items():
        if lazy and value:
            raise ValueError(
                f"`lazy=True` changes only the rows that a gradient names, but `{name}={value}` "
                f"changes all rows. Use lazy=False, or leave `{name}` out."
            )


def not_lazy_in_blocks(lazy: bool, state_dtype: str | None) -> None:
    """Raise ValueError if `lazy` would update single rows of a state that is stored in blocks."""
    if lazy and state_dtype == "int8":
        raise ValueError(
            "`lazy=True` updates single rows, but with `state_dtype='int8'` rows share the scale "
            "of a block. Use state_dtype='bfloat16', or lazy=False."
        )


def not_with_hooks(name: str, value: object, hooks: Sequence[str]) -> None:
    """Raise ValueError if an option needs the compiled update, but Keras's update has to run."""
    if value and hooks:
        raise ValueError(
            f"`{name}={value!r}` needs the compiled update, which does not call "
            f"`{hooks[0]}`, but this class overrides it. Override `apply` instead, or leave "
            f"`{name}` out."
        )


def not_stochastic_in_float16(master_weights: bool | str, variables: Sequence[Variable]) -> None:
    """Raise ValueError if a float16 variable would have to be rounded at random."""
    for variable in variables if master_weights == "stochastic" else ():
        if standardize_dtype(variable.dtype) == "float16":
            raise ValueError(
                "`master_weights='stochastic'` rounds bfloat16 variables at random; "
                f"{path_of(variable)!r} is of float16. Use "
                "master_weights=True."
            )
