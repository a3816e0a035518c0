"""Checks of the constructor's arguments, before anything is made of them."""

import math
from typing import Any

from keras import Variable, ops

# argument -> what is right, and whether a number is
_NUMBERS = {
    "learning_rate": ("a finite number >= 0", lambda x: 0 <= x < math.inf),
    "beta_1": ("a number in [0, 1)", lambda x: 0 <= x < 1),
    "beta_2": ("a number in [0, 1)", lambda x: 0 <= x < 1),
    "epsilon": ("a finite number > 0", lambda x: 0 < x < math.inf),
    "weight_decay": ("a finite number >= 0, or None", lambda x: 0 <= x < math.inf),
    "clipnorm": ("a number >= 0, or None", lambda x: x >= 0),
    "clipvalue": ("a number >= 0, or None", lambda x: x >= 0),
    "global_clipnorm": ("a number >= 0, or None", lambda x: x >= 0),
    "loss_scale_factor": ("a finite number > 0, or None", lambda x: 0 < x < math.inf),
    "gradient_accumulation_steps": ("an integer >= 2, or None", lambda x: x == int(x) and x >= 2),
}


def numbers(**arguments: Any) -> None:
    """Check numbers against their ranges.

    `None` passes where the argument may be missing; so do callables, schedules,
    variables and tensors where Keras takes them, which have no value yet.

    Raises:
        TypeError: if an argument is of another kind.
        ValueError: if a number is out of range.

    """
    for name, value in arguments.items():
        expected, in_range = _NUMBERS[name]
        if value is None and expected.endswith("None"):
            continue
        if name in ("learning_rate", "beta_1", "beta_2") and (
            callable(value) or isinstance(value, Variable) or ops.is_tensor(value)
        ):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = None
        if number is None or isinstance(value, bool | str):
            raise TypeError(f"`{name}` must be {expected}; received {value!r}.")
        if math.isnan(number) or not in_range(number):
            raise ValueError(f"`{name}` must be {expected}; received {value!r}.")


def booleans(**arguments: Any) -> None:
    """Raise TypeError if an argument is not `True` or `False`."""
    for name, value in arguments.items():
        if not isinstance(value, bool):
            raise TypeError(f"`{name}` must be True or False; received {value!r}.")


def lazy_alone(lazy: bool, use_ema: bool, gradient_accumulation_steps: int | None) -> None:
    """Raise ValueError if `lazy` meets an option that touches every row at every step."""
    for name, value in {
        "use_ema": use_ema,
        "gradient_accumulation_steps": gradient_accumulation_steps,
    }.items():
        if lazy and value:
            raise ValueError(
                f"`lazy=True` touches only the rows that a gradient names, and `{name}={value}` "
                f"touches all: use lazy=False, or leave `{name}` out."
            )
