"""The state of an optimizer in a file, and its arguments in a configuration."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


def write(store: Any, values: Sequence[Any]) -> None:
    """Write arrays to a store as `keras.optimizers.Adam` does: under their numbers."""
    for i, value in enumerate(values):
        store[str(i)] = value


def read(store: Any) -> tuple[Any, ...]:
    """Read the arrays that `write` or `keras.optimizers.Adam` wrote."""
    return tuple(np.array(store[str(i)]) for i in range(len(store.keys())))


def set_values(optimizer_name: str, variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Set the variables to the values, all or none.

    Raises:
        ValueError: if the values are of other variables.

    """
    ours = [(v.path, tuple(v.shape)) for v in variables]
    theirs = [tuple(value.shape) for value in values]
    if [shape for _, shape in ours] != theirs:
        pairs = itertools.zip_longest(ours, theirs, fillvalue="nothing")
        first = next(
            f"variable {i} is {mine}, in the file {other}"
            for i, (mine, other) in enumerate(pairs)
            if mine == "nothing" or mine[1] != other
        )
        raise ValueError(
            f"The saved state does not fit optimizer {optimizer_name!r}: it holds {len(theirs)} "
            f"variables, the optimizer has {len(ours)}; the first difference: {first}. "
            "Build the optimizer with the options and on the variables that the state was "
            "saved with, or load the weights before `compile`, to start its state afresh."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def to_config(value: Any) -> Any:
    """Return an argument as a configuration holds it: a tensor as the number that it is now."""
    if isinstance(value, keras.Variable) or ops.is_tensor(value):
        return float(ops.convert_to_numpy(value))
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return keras.saving.serialize_keras_object(value)
    return value
