"""The interface of a backend, and the choice of the backend that Keras runs on."""

import collections
import importlib
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar, cast

import keras

from keras_adam.annotations import Array, BackendVariable, Flag, Gradient, Variable
from keras_adam.math.adam import Numbers, Slots
from keras_adam.math.options import Options

# `assign(variable, values)` sets a variable to values of its shape and dtype.
Assign = Callable[[Variable, Array], None]

BACKENDS = ("tensorflow", "jax", "torch")


class TrackedVariable(NamedTuple):
    """A trainable variable with its optimizer variables, and whether weight decay applies to it.

    If `slots.momentum` is `None`, the variable has no state. The updater never updates such a
    variable, because its gradient overwrites it.
    """

    slots: Slots
    decays: bool


class Updater(Protocol):
    """Applies steps to the variables that an optimizer was built with, on one backend.

    Each module `keras_adam.backends.NAME` has a class `Updater` with these methods.
    """

    sparse_gradient: type[Gradient] | tuple[()]
    """The type of a sparse gradient, which has its values in `values`; `()` if all gradients of the
    backend have the shape of their variable."""

    outside_of_graphs: Callable[[], AbstractContextManager[None]]
    """A context in which a variable is assigned at once, even while a function is traced."""

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
                `None`. For a variable without a gradient, only the average moves, and the
                accumulator is emptied when an update is due.
            numbers: Python numbers or scalar arrays; the learning rate may also be a variable. They
                may change at each call, and a new value compiles nothing.
            iterations: The number of earlier calls, an integer scalar variable.
            options: The parts of a step that are on. Options seldom change, and other options may
                compile another program.

        Returns:
            A boolean scalar array, `None` without `options.skip_nonfinite`. It says whether all
            gradients were finite. If they were not, the step changed nothing.

        """


class SharedPatterns:
    """The patterns of gradients for which variables share programs.

    A pattern is what a program depends on, for example which gradients are missing. A program over
    many variables is compiled for one pattern only. For a pattern that is not in this object, each
    variable is updated by a program for its shape. So the number of programs is bounded.
    """

    MOST, MOST_SEEN = 8, 4

    def __init__(self) -> None:
        """Start without patterns."""
        self._known: set[Hashable] = set()
        self._seen: collections.deque[Hashable] = collections.deque(maxlen=self.MOST_SEEN)

    def may_share(self, pattern: Hashable, *, is_traced: bool) -> bool:
        """Say whether the variables may share programs for a pattern, and remember the pattern.

        In a trace they may, because a traced function is called again. In a call from Python they
        may if the pattern is the first one, or was seen recently. So random patterns share no
        programs. The number of patterns is bounded.
        """
        if pattern in self._known:
            return True
        comes_again = is_traced or not self._known or pattern in self._seen
        self._seen.append(pattern)
        if not comes_again or len(self._known) == self.MOST:
            return False
        self._known.add(pattern)
        return True


def path_of(variable: Variable | BackendVariable) -> str:
    """Return the path of a Keras variable, or the name of a backend's variable."""
    return getattr(variable, "path", variable.name)


def missing(gradients: Sequence[Gradient]) -> tuple[bool, ...]:
    """Return the pattern of the gradients that are missing."""
    return tuple(gradient is None for gradient in gradients)


Function = TypeVar("Function", bound=Callable[..., object])


def without_autograph(function: Function) -> Function:
    """Keep TensorFlow's AutoGraph from rewriting `function` and all that it calls.

    AutoGraph does not rewrite Keras's functions, but it does rewrite those of other packages. At
    the first trace this would take seconds.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return cast(Function, tf.autograph.experimental.do_not_convert(function))


def observes_operations() -> bool:
    """Say whether TensorFlow looks at the result of each operation, which XLA does not allow.

    TensorFlow does so after `tf.debugging.enable_check_numerics()`.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    from tensorflow.python.framework import op_callbacks  # there is no public way to ask

    return bool(op_callbacks.should_invoke_op_callbacks())


def updater_class() -> type[Updater]:
    """Return the `Updater` of the backend that Keras runs on.

    Raises:
        RuntimeError: there is no `Updater` for the backend.

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
