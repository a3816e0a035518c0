"""Saves and loads the state of an optimizer, and converts arguments for a configuration.

The rule for loading is Keras's: it never fails because the file has another optimizer's state.

- If the file has no state, or the state before the first step, the optimizer starts afresh.
- If the shapes are the same, the state is taken.
- Other state is not taken, and a `StateNotLoadedWarning` says so.

Only damaged state raises an error, and this happens before anything has changed.
"""

import itertools
import warnings
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import keras
import numpy as np
from keras import ops

from keras_adam import keras_internals
from keras_adam.annotations import Array, Scalar, Store, Variable
from keras_adam.math import blocks, storage
from keras_adam.math.blocks import Quantized


class StateNotLoadedWarning(UserWarning):
    """The state in a file does not fit the optimizer, and the optimizer keeps its own state.

    Examples:
        >>> # Raise an error instead of the warning.
        >>> warnings.simplefilter("error", keras_adam.StateNotLoadedWarning)

    """


Held = TypeVar("Held", Variable, Array)


class Saved(NamedTuple, Generic[Held]):
    """The variables of an optimizer that a file holds, or their values as arrays."""

    keras: Sequence[Held]
    """The state of `keras.optimizers.Adam`, in its order; a momentum or velocity may be codes."""
    scale: Sequence[Held] = ()
    """The scales of the codes, in the order of the codes."""
    master: Sequence[Held] = ()


class Loaded(NamedTuple):
    """State that was read. The optimizer takes it when it has the variables."""

    values: Saved[Array]
    source: str
    """The source of the state, in words."""
    is_of_another_class: bool = False
    """Whether the state is known to be that of another optimizer than Adam."""
    is_silent: bool = False
    """Whether the user asked for `skip_mismatch`."""

    @property
    def is_fresh(self) -> bool:
        """Whether this is the state before the first step: at most two numbers, and no arrays.

        The first is the number of iterations, 0. The second is the learning rate, unless that is a
        schedule.
        """
        numbers = self.values.keras
        return len(numbers) <= 2 and all(
            np.shape(number) == () and (i > 0 or number == 0) for i, number in enumerate(numbers)
        )


class Own(NamedTuple):
    """The variables of a built optimizer that a file holds."""

    optimizer_name: str
    variables: Saved[Variable]
    learning_rate: Variable | Scalar
    """The variable of the learning rate, one of `variables.keras`, or the user's schedule."""


def write(store: Store, values: Saved[Array]) -> None:
    """Write arrays to a store.

    The state of `keras.optimizers.Adam` has the names `0`, `1` and so on, as in Keras. The others
    have names such as `scale_0` and `master_0`. If there are no others, Keras can read the store.
    """
    for i, value in enumerate(values.keras):
        store[str(i)] = value
    for kind in Saved._fields[1:]:
        for i, value in enumerate(getattr(values, kind)):
            store[f"{kind}_{i}"] = value


def read(store: Store) -> Loaded:
    """Read the arrays that `write` or an optimizer of Keras wrote.

    Raises:
        ValueError: if the state is damaged.

    """
    file = keras_internals.file_name(store)
    source = f"the state in {file!r}" if file else "the state that is loaded"
    name = keras_internals.optimizer_name(store)
    try:
        keys = set(store.keys())
    except Exception as error:
        raise ValueError(
            f"{_sentence(source)} is damaged: the names of its variables cannot be read ({error})."
        ) from error

    def array_of(key: str) -> Array:
        if key not in keys:
            raise ValueError(f"{_sentence(source)} is damaged: variable {key!r} is missing.")
        try:
            array = np.array(store[key])
            is_nan = "int" not in str(array.dtype) and bool(np.isnan(array).any())
        except Exception as error:
            raise ValueError(
                f"{_sentence(source)} is damaged: variable {key!r} cannot be read ({error})."
            ) from error
        if is_nan:
            raise ValueError(
                f"{_sentence(source)} is damaged: variable {key!r} has NaN. To start the optimizer "
                "afresh, load before `compile`, or with `load_model(..., compile=False)`."
            )
        return array

    def arrays_of(prefix: str) -> tuple[Array, ...]:
        numbers = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
        count = sum(number.isdigit() for number in numbers)
        return tuple(array_of(f"{prefix}{i}") for i in range(count))

    values = Saved(arrays_of(""), *(arrays_of(f"{kind}_") for kind in Saved._fields[1:]))
    if values.keras and np.shape(values.keras[0]) == () and values.keras[0] < 0:
        raise ValueError(
            f"{_sentence(source)} is damaged: variable '0', the number of iterations, is "
            f"{values.keras[0]}."
        )
    codes = sum(map(_is_codes, values.keras))
    if values.scale and codes != len(values.scale):
        raise ValueError(
            f"{_sentence(source)} is damaged: it has {codes} variables in codes, and "
            f"{len(values.scale)} scales of them."
        )
    return Loaded(
        values,
        source,
        keras_internals.is_of_another_class(name),
        keras_internals.skips_mismatch(),
    )


def take(own: Own, loaded: Loaded, *, takes_learning_rate: bool) -> None:
    """Set all variables of a built optimizer to the state that was read.

    If the state does not fit, warn and set none of them.
    """
    if loaded.is_fresh:
        _start_afresh(own, loaded, takes_learning_rate)
        return
    difference = _difference(own, loaded)
    if difference:
        _warn(loaded, f"{_sentence(loaded.source)} does not fit optimizer {difference}")
        return
    kept = () if takes_learning_rate else (own.learning_rate,)
    for variable, value in _assignments(own.variables, loaded.values):
        if not any(variable is each for each in kept):
            variable.assign(value)


def set_weights(own: Own, variables: Sequence[Variable], weights: Sequence[Array]) -> None:
    """Set all variables of a built optimizer to arrays.

    Raises:
        ValueError: the number or the shapes do not fit; no variable has changed.

    """
    arrays = [ops.convert_to_numpy(weight) for weight in weights]
    loaded = Loaded(Saved(arrays), "the list `weights`")
    if loaded.is_fresh and len(arrays) < len(variables):
        _start_afresh(own, loaded, takes_learning_rate=True)
        return
    if len(arrays) != len(variables):
        raise ValueError(
            f"`weights` must hold {len(variables)} arrays, one for each of the optimizer's "
            f"`variables`; received {len(arrays)}."
        )
    for i, (variable, array) in enumerate(zip(variables, arrays, strict=True)):
        if tuple(variable.shape) != tuple(array.shape):
            raise ValueError(
                f"`weights[{i}]` must have the shape {tuple(variable.shape)} of {variable.path!r}; "
                f"received one of {tuple(array.shape)}."
            )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def with_learning_rate(values: Saved[Array], own: Own) -> Saved[Array]:
    """Return loaded values that are not taken yet, with the optimizer's present learning rate."""
    is_rate = [variable is own.learning_rate for variable in own.variables.keras]
    arrays = list(values.keras)
    if any(is_rate) and np.shape(arrays[is_rate.index(True)]) == ():
        arrays[is_rate.index(True)] = own.learning_rate.numpy()
    return values._replace(keras=arrays)


def give_up(waiting: Loaded, loaded: Loaded, optimizer_name: str) -> None:
    """Warn that the state `waiting` is discarded, if `loaded` is from a file without any state."""
    if not loaded.values.keras:
        _warn(
            loaded,
            f"{_sentence(loaded.source)} has no variables for optimizer {optimizer_name!r}, which "
            f"starts afresh. {_sentence(waiting.source)}, which was loaded before, is discarded.",
        )


def _start_afresh(own: Own, loaded: Loaded, takes_learning_rate: bool) -> None:
    """Set the variables to their values before the first step."""
    numbers, variables = loaded.values.keras, own.variables
    updates = int(variables.keras[0].numpy())
    if not numbers and updates:
        _warn(
            loaded,
            f"{_sentence(loaded.source)} has no variables for optimizer {own.optimizer_name!r}, "
            f"which starts afresh. The state of its {updates} iterations is discarded.",
        )
    for variable in itertools.chain(*variables):
        if variable is not own.learning_rate:
            variable.assign(ops.zeros(variable.shape, dtype=variable.dtype))
    is_variable = isinstance(own.learning_rate, keras.Variable)
    is_known = len(numbers) == 2 and not loaded.is_of_another_class
    if takes_learning_rate and is_variable and is_known:
        own.learning_rate.assign(numbers[1])


def _warn(loaded: Loaded, message: str) -> None:
    if not loaded.is_silent:
        warnings.warn(message, StateNotLoadedWarning, stacklevel=4)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _difference(own: Own, loaded: Loaded) -> str:
    """Say in words which part of the state does not fit; return '' if all fits."""
    if loaded.is_of_another_class:
        return f"{own.optimizer_name!r}: the state is that of another class of optimizers."
    found = _first_difference(own.variables.keras, loaded.values.keras)
    if not found and own.variables.master and loaded.values.master:
        found = _first_difference(own.variables.master, loaded.values.master)
    if not found:
        return ""
    return (
        f"{own.optimizer_name!r}, and is not loaded: {found} It fits an optimizer with the same "
        "options, built on the same variables."
    )


def _first_difference(variables: Sequence[Variable], values: Sequence[Array]) -> str:
    ours = [(v.path, tuple(v.shape)) for v in variables]
    theirs = [tuple(value.shape) for value in values]
    for i, (mine, other) in enumerate(itertools.zip_longest(ours, theirs, fillvalue="nothing")):
        if mine == "nothing" or mine[1] != other:
            return (
                f"it holds {len(theirs)} variables, the optimizer has {len(ours)}; the first "
                f"difference: variable {i} is {mine}, in the file {other}."
            )
    return ""


def _assignments(variables: Saved[Variable], values: Saved[Array]) -> list[tuple[Variable, Array]]:
    """Return variables with their new values, of the same shapes.

    If the file and the optimizer both have codes, the bits do not change. If only the file has
    codes, they are decoded. If only the optimizer has codes, values are rounded to the nearest
    code. Master weights that were not saved start from the variables.
    """
    scales, own_scales = iter(values.scale), iter(variables.scale)
    assignments: list[tuple[Variable, Array]] = []
    for variable, value in zip(variables.keras, values.keras, strict=True):
        is_coded = bool(values.scale) and _is_codes(value)
        stored = value
        if is_coded:  # `dequantize` needs tensors
            stored = Quantized(*map(ops.convert_to_tensor, (value, next(scales))))
        if not (variables.scale and _is_codes(variable)):
            # Whole numbers, which count steps, are not cast.
            decoded = storage.decode_slot(stored, "float32") if is_coded else value
            assignments.append((variable, decoded))
            continue
        if not is_coded:
            stored = blocks.quantize(value, blocks.largest_of_blocks(value), variable.dtype)
        assignments += zip((variable, next(own_scales)), stored, strict=True)
    if variables.master and values.master:
        assignments += zip(variables.master, values.master, strict=True)
    return assignments


def _is_codes(array: Variable | Array) -> bool:
    return keras.backend.standardize_dtype(array.dtype) in ("int8", "uint8")


def to_config(value: object) -> object:
    """Return an argument for a configuration; a tensor becomes its present value."""
    if isinstance(value, keras.Variable) or ops.is_tensor(value):
        return float(ops.convert_to_numpy(value))
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return keras.saving.serialize_keras_object(value)
    return value
