"""The names that annotations use for arrays, variables and numbers.

The arrays of TensorFlow, JAX and PyTorch share no type, and Keras has no type for them. So most
of these names are `Any` to the type checker. They only tell the reader what is meant.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

Array: TypeAlias = Any
"""An array of the backend that Keras runs on, or a tracer of one."""

Scalar: TypeAlias = Any
"""A Python number, or an array of shape ()."""

Flag: TypeAlias = Any
"""A Python boolean, or a boolean array of shape ()."""

Functions: TypeAlias = Any
"""`keras.ops`, or an object with functions of the same names for Python numbers."""

Gradient: TypeAlias = Any
"""A gradient: dense, a sparse type of the backend, or `Rows`; `None` if it is missing."""

Number: TypeAlias = Any
"""A number that a user gives: a Python number, a scalar tensor or variable, a callable without
arguments that returns one of these, or a schedule."""

BackendVariable: TypeAlias = Any
"""A variable of the backend itself, such as a `tf.Variable`."""

Store: TypeAlias = Any
"""The object to which Keras writes variables, and from which it reads them: arrays by name."""

Slot: TypeAlias = Any
"""The storage of one part of the state: a variable or an array, a `Quantized`, or `None`."""

Dtype: TypeAlias = Any
"""A dtype of Keras or of the backend: a string or an object."""

Shape: TypeAlias = Sequence[int]


class Variable(Protocol):
    """The attributes of a Keras variable that the optimizer uses."""

    @property
    def name(self) -> str:
        """The name of the variable alone."""

    @property
    def path(self) -> str:
        """The name with the names of the layers that contain the variable."""

    @property
    def shape(self) -> Shape:
        """The shape."""

    @property
    def dtype(self) -> Dtype:
        """The dtype."""

    @property
    def value(self) -> Array:
        """The array or the backend's variable that it holds."""

    @property
    def constraint(self) -> Callable[[Array], Array] | None:
        """A function that returns the nearest permitted values, or `None`."""

    def assign(self, value: Array) -> object:
        """Set the values."""

    def numpy(self) -> Array:
        """Return the values as a NumPy array."""
