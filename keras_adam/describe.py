"""An optimizer in words, for `repr`."""

import inspect
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

if TYPE_CHECKING:
    from keras_adam.optimizer import Adam


def describe(optimizer: "Adam", learning_rate: object) -> str:
    """Return a call that would make this optimizer.

    The call has the learning rate, and the other arguments that differ from their defaults.
    """
    arguments = [f"learning_rate={_spell(learning_rate)}"]
    for name, parameter in inspect.signature(type(optimizer)).parameters.items():
        if name in ("learning_rate", "name") or not hasattr(optimizer, name):
            continue
        text = _spell(getattr(optimizer, name))
        if text != _spell(parameter.default):
            arguments.append(f"{name}={text}")
    package = type(optimizer).__module__.partition(".")[0]
    return f"{package}.{type(optimizer).__name__}({', '.join(arguments)})"


def _spell(value: object) -> str:
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return type(value).__name__
    if isinstance(value, keras.Variable) or ops.is_tensor(value):
        try:
            # NumPy prints the digits of the value's own dtype: 0.001, not 0.0010000000474974513.
            return str(np.asarray(ops.convert_to_numpy(value))[()])
        except Exception:  # A tracer has no value, and each backend raises another error.
            return f"<{type(value).__name__}>"
    return repr(value)
