"""What a backend gets, what it offers, and which one Keras runs on."""

import collections
import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import keras

from keras_adam.math.adam import Slots

Function = TypeVar("Function", bound=Callable[..., Any])


class Entry(NamedTuple):
    """A trainable variable with its optimizer variables; whether weight decay applies to it."""

    slots: Slots
    decays: bool


class Patterns:
    """Which patterns of present and missing gradients have programs of their own.

    A program over many variables is compiled for one pattern only. Patterns without one are
    taken a variable at a time, by programs of which there are as many as shapes. So the number of
    programs is bounded.
    """

    MOST, MOST_SEEN = 8, 4

    def __init__(self) -> None:
        """Know no pattern yet."""
        self._known: set[tuple[bool, ...]] = set()
        self._seen: collections.deque[tuple[bool, ...]] = collections.deque(maxlen=self.MOST_SEEN)

    def has_own_programs(self, pattern: tuple[bool, ...], *, is_traced: bool) -> bool:
        """Say whether the pattern has programs of its own; while there is room, it may get them.

        In a trace it does: whoever traces means to come again. Called from Python the first
        one does, and one that comes back; patterns at random do not.
        """
        if pattern in self._known:
            return True
        comes_again = is_traced or not self._known or pattern in self._seen
        self._seen.append(pattern)
        if not comes_again or len(self._known) == self.MOST:
            return False
        self._known.add(pattern)
        return True


def missing(gradients: Sequence[Any]) -> tuple[bool, ...]:
    """Return the pattern of the gradients that are missing."""
    return tuple(gradient is None for gradient in gradients)


def without_autograph(function: Function) -> Function:
    """Keep TensorFlow's AutoGraph from rewriting `function` and all that it calls.

    It spares Keras, but not what is outside of it, and would take seconds at the first trace.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return cast(Function, tf.autograph.experimental.do_not_convert(function))


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
    return importlib.import_module(f"keras_adam.backends.{backend}").Updater
