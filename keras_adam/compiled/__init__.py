"""How a step runs on each backend; the only package that imports one."""

import importlib
from typing import Any, NamedTuple

import keras

from keras_adam.rule import Slots


class Entry(NamedTuple):
    """A trainable variable with its optimizer variables; whether weight decay applies to it."""

    slots: Slots
    decays: bool


def updater_class() -> Any:
    """Return the `Updater` of the backend that Keras runs on.

    Raises:
        RuntimeError: on a backend that has none.

    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise RuntimeError(
            "keras_adam runs on the TensorFlow and JAX backends of Keras; the backend is "
            f"{backend!r}. Set the environment variable KERAS_BACKEND to 'tensorflow' or "
            "'jax' before Keras is imported."
        )
    return importlib.import_module(f"keras_adam.compiled.{backend}").Updater
