"""What a backend gets and offers; which one Keras runs on."""

import collections
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import keras

from keras_adam.annotations import Array, Flag, Gradient, Variable
from keras_adam.math.adam import Numbers, Slots
from keras_adam.math.options import Options

# `assign(variable, values)` sets a variable to values of its shape and dtype.
Assign = Callable[[Variable, Array], None]

BACKENDS = ("tensorflow", "jax", "torch")


class TrackedVariable(NamedTuple):
    """A trainable variable with its optimizer variables; whether weight decay applies to it.

    One without state (`slots.momentum` is `None`) is never updated: its gradient overwrites it.
    """

    slots: Slots
    decays: bool


class Updater(Protocol):
    """What a backend offers: it applies steps to the variables that an optimizer was built with.

    Its module `keras_adam.backends.NAME` has it under the name `Updater`.
    """

    sparse_gradient: Any
    """The type of a gradient of some rows, which has its values in `values`; `()` where
    gradients always have the shape of their variable."""

    outside_of_graphs: Callable[[], AbstractContextManager[None]]
    """A context in which a variable is set at once, also while a function is being traced."""

    def __init__(self, tracked: Sequence[TrackedVariable], assign: Assign) -> None:
        """Prepare for the variables `tracked`; trace and compile nothing yet."""

    def __call__(
        self,
        gradients: Sequence[Gradient],
        numbers: Numbers,
        iterations: Variable,
        options: Options,
    ) -> Flag | None:
        """Take a step.

        Args:
            gradients: One for each tracked variable, of its shape and any floating dtype, or
                `None`. A variable without a gradient keeps all but its average, which moves,
                and its accumulator, which is emptied when an update is due.
            numbers: Python numbers or scalar arrays; the learning rate is a variable, too. They
                may be others at each call, and nothing is compiled for them.
            iterations: How many calls came before, an integer scalar variable.
            options: What a step does. They seldom change; a program may be compiled for them.

        Returns:
            A boolean scalar array: whether all gradients were finite, and so the step was
            taken; or `None` without `options.skip_nonfinite`.

        """


class SharedPatterns:
    """Which patterns of missing gradients are worth programs that variables share.

    A program over many variables is compiled for one pattern only. With other patterns, each
    variable is taken by itself, by programs of which there are as many as shapes. So the number
    of programs is bounded.
    """

    MOST, MOST_SEEN = 8, 4

    def __init__(self) -> None:
        """Know no pattern yet."""
        self._known: set[tuple[bool, ...]] = set()
        self._seen: collections.deque[tuple[bool, ...]] = collections.deque(maxlen=self.MOST_SEEN)

    def may_share(self, pattern: tuple[bool, ...], *, is_traced: bool) -> bool:
        """Say whether the variables may share programs; while there is room, let a pattern do so.

        In a trace it may: a traced function is called again. Called from Python, the first
        pattern may, and one that comes back; patterns at random may not.
        """
        if pattern in self._known:
            return True
        comes_again = is_traced or not self._known or pattern in self._seen
        self._seen.append(pattern)
        if not comes_again or len(self._known) == self.MOST:
            return False
        self._known.add(pattern)
        return True


def missing(gradients: Sequence[Gradient]) -> tuple[bool, ...]:
    """Return the pattern of the gradients that are missing."""
    return tuple(gradient is None for gradient in gradients)


Function = TypeVar("Function", bound=Callable[..., Any])


def without_autograph(function: Function) -> Function:
    """Keep TensorFlow's AutoGraph from rewriting `function` and all that it calls.

    It spares Keras, but not what is outside of it, and would take seconds at the first trace.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return cast(Function, tf.autograph.experimental.do_not_convert(function))


def observes_operations() -> bool:
    """Say whether TensorFlow looks at what each operation returns, which XLA does not let it.

    So it is after `tf.debugging.enable_check_numerics()`.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    from tensorflow.python.framework import op_callbacks  # there is no public way to ask

    return bool(op_callbacks.should_invoke_op_callbacks())


def updater_class() -> type[Updater]:
    """Return the `Updater` of the backend that Keras runs on.

    Raises:
        RuntimeError: on a backend that has none.

    """
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise RuntimeError(
            "keras_adam runs on the TensorFlow, JAX and PyTorch backends of Keras; the backend is "
            f"{backend!r}. Set the environment variable KERAS_BACKEND to 'tensorflow', 'jax' or "
            "'torch' before Keras is imported."
        )
    updater: type[Updater] = importlib.import_module(f"keras_adam.backends.{backend}").Updater
    return updater
