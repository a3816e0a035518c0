"""Makes an optimizer from its name.

The table holds import paths, not classes. So the command line can list the names without importing
Keras.
"""

import dataclasses
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.errors import InputError, one_line
from benchmarks.names import import_path, nearest
from benchmarks.run import OptimizerSpec


@dataclasses.dataclass(frozen=True)
class Entry:
    """The path of the class, its default learning rate, and the arguments that the name fixes."""

    path: str
    learning_rate: float | None
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)


# The learning rates are Keras's defaults, except for SGD. Keras's 0.01 is slow on all data sets
# here, and the literature uses 0.1. With momentum 0.9, a tenth of this gives the same effective
# step. A test compares the table with the classes of keras.optimizers.
OPTIMIZERS: Mapping[str, Entry] = {
    "keras_adam": Entry("keras_adam:Adam", 0.001),
    "keras_adamw": Entry("keras_adam:AdamW", 0.001),
    "adam": Entry("keras.optimizers:Adam", 0.001),
    "adamw": Entry("keras.optimizers:AdamW", 0.001),
    "rmsprop": Entry("keras.optimizers:RMSprop", 0.001),
    "sgd": Entry("keras.optimizers:SGD", 0.1),
    "momentum": Entry("keras.optimizers:SGD", 0.01, {"momentum": 0.9}),
    "nesterov": Entry("keras.optimizers:SGD", 0.01, {"momentum": 0.9, "nesterov": True}),
    "adadelta": Entry("keras.optimizers:Adadelta", 0.001),
    "adafactor": Entry("keras.optimizers:Adafactor", 0.001),
    "adagrad": Entry("keras.optimizers:Adagrad", 0.001),
    "adamax": Entry("keras.optimizers:Adamax", 0.001),
    "ftrl": Entry("keras.optimizers:Ftrl", 0.001),
    "lamb": Entry("keras.optimizers:Lamb", 0.001),
    "lion": Entry("keras.optimizers:Lion", 0.001),
    "muon": Entry("keras.optimizers:Muon", 0.001),
    "nadam": Entry("keras.optimizers:Nadam", 0.001),
    "schedulefreeadamw": Entry("keras.optimizers:ScheduleFreeAdamW", 0.0025),
}


def entry(spec: OptimizerSpec) -> Entry:
    """Return the entry of `spec` in the table.

    An import path, `package.module:Class`, needs no entry.

    Raises:
        InputError: there is no optimizer of that name.
    """
    if ":" in spec.name:
        return Entry(spec.name, None)
    if spec.name not in OPTIMIZERS:
        raise InputError(f"not an optimizer; {nearest(spec.name, OPTIMIZERS)}", optimizer=spec.name)
    return OPTIMIZERS[spec.name]


def learning_rate(spec: OptimizerSpec, given: float | None) -> float:
    """Return the learning rate of a run: the spec's own, else `given`, else the table's.

    Raises:
        InputError: the rate is not a positive number.
    """
    default = entry(spec).learning_rate if given is None else given
    rate = spec.arguments.get("learning_rate", default)
    if rate is None and "learning_rate" not in spec.arguments:
        raise InputError(
            "give its learning rate, in parentheses or for all",
            optimizer=str(spec),
            see=["learning_rate"],
        )
    if not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise InputError(f"learning rate {rate} is not a number above 0", optimizer=str(spec))
    return float(rate)


def build(spec: OptimizerSpec, learning_rate: Any) -> Any:
    """Make the `keras.optimizers.Optimizer` that `spec` names.

    Args:
        spec: the name and the arguments.
        learning_rate: a number, or a `keras.optimizers.schedules.LearningRateSchedule`.

    Raises:
        InputError: the class lacks one of the arguments, or refuses a value or the backend.
    """
    found = entry(spec)
    optimizer_class = import_path(found.path, "optimizer")
    if ":" in spec.name:
        import keras

        if not (isinstance(optimizer_class, type) and issubclass(optimizer_class, keras.Optimizer)):
            raise InputError("not a keras.optimizers.Optimizer", optimizer=spec.name)
    valid = _arguments_of(optimizer_class)
    for argument in spec.arguments:
        if argument not in valid:
            raise InputError(
                f"{spec.name} has no argument {argument!r}; {nearest(argument, valid)}",
                optimizer=str(spec),
            )
    arguments = {**found.arguments, **spec.arguments, "learning_rate": learning_rate}
    try:
        return optimizer_class(**arguments)
    except Exception as error:
        raise InputError(one_line(error), optimizer=str(spec)) from error


def data_parallel(devices: Sequence[Any], shard_optimizer_state: bool) -> Any:
    """Return the `keras.distribution.Distribution` for training on these devices of JAX.

    Each process reads only its own share of a batch, so Keras must not divide the data again.
    """
    from keras_adam.distribution import DataParallel

    return DataParallel(
        devices=devices, auto_shard_dataset=False, shard_optimizer_state=shard_optimizer_state
    )


def split_dimension(shape: Sequence[int], devices: int) -> int | None:
    """Return the dimension in which keras_adam splits a slot over the devices, or None."""
    from keras_adam import distribution

    return distribution.split_dimension(shape, devices)


def _arguments_of(optimizer_class: type) -> set[str]:
    """Return the names of a class's arguments; `**kwargs` stands for those of its base class."""
    names: set[str] = set()
    for base in optimizer_class.__mro__:
        if "__init__" in vars(base):
            _, *parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            kinds = {parameter.kind for parameter in parameters}
            variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
            names |= {p.name for p in parameters if p.kind not in variadic}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                break
    return names
