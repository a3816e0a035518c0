"""The state of an optimizer in a file, and its arguments in a configuration."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_adam.math import blocks, storage
from keras_adam.math.blocks import Quantized


class Saved(NamedTuple):
    """What a file holds of an optimizer: its variables, or their values as arrays."""

    keras: Sequence[Any]
    """Those of `keras.optimizers.Adam`, in its order; a momentum or velocity may be codes."""
    scale: Sequence[Any] = ()
    """One for each of codes, in their order."""
    master: Sequence[Any] = ()


def write(store: Any, values: Saved) -> None:
    """Write arrays to a store as `keras.optimizers.Adam` does, under their numbers; others after.

    Without scales and master weights Keras can read it.
    """
    for i, value in enumerate(values.keras):
        store[str(i)] = value
    for kind in Saved._fields[1:]:
        for i, value in enumerate(getattr(values, kind)):
            store[f"{kind}_{i}"] = value


def read(store: Any) -> Saved:
    """Read the arrays that `write` or `keras.optimizers.Adam` wrote."""
    keys = list(store.keys())

    def arrays_of(prefix: str) -> tuple[Any, ...]:
        count = sum(key.removeprefix(prefix).isdigit() for key in keys if key.startswith(prefix))
        return tuple(np.array(store[f"{prefix}{i}"]) for i in range(count))

    return Saved(arrays_of(""), *(arrays_of(f"{kind}_") for kind in Saved._fields[1:]))


def set_values(optimizer_name: str, saved: Saved, values: Saved) -> None:
    """Set the variables to the values, all or none.

    What was saved in codes, and is kept in codes, is the same to the bit. Else codes are decoded,
    or values are rounded to the nearest code. Master weights that were not saved start from
    the variables.

    Raises:
        ValueError: if the values are of other variables.

    """
    _check_shapes(optimizer_name, saved.keras, values.keras)
    scales, own_scales = iter(values.scale), iter(saved.scale)
    assignments: list[tuple[Any, Any]] = []
    for variable, value in zip(saved.keras, values.keras, strict=True):
        stored = Quantized(value, next(scales)) if _is_codes(value) else value
        if not _is_codes(variable):
            # Whole numbers, which count steps, stay what they are.
            decoded = storage.decode_slot(stored, "float32") if _is_codes(value) else value
            assignments.append((variable, decoded))
            continue
        if not _is_codes(value):
            stored = blocks.quantize(value, blocks.largest_of_blocks(value), variable.dtype)
        assignments += zip((variable, next(own_scales)), stored, strict=True)
    if saved.master and values.master:
        _check_shapes(optimizer_name, saved.master, values.master)
        assignments += zip(saved.master, values.master, strict=True)
    for variable, value in assignments:
        variable.assign(value)


def _is_codes(array: Any) -> bool:
    return keras.backend.standardize_dtype(array.dtype) in ("int8", "uint8")


def _check_shapes(optimizer_name: str, variables: Sequence[Any], values: Sequence[Any]) -> None:
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


def to_config(value: Any) -> Any:
    """Return an argument as a configuration holds it: a tensor as the number that it is now."""
    if isinstance(value, keras.Variable) or ops.is_tensor(value):
        return float(ops.convert_to_numpy(value))
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return keras.saving.serialize_keras_object(value)
    return value
