"""The names that annotations use for arrays, variables and numbers.

The arrays of TensorFlow, JAX and PyTorch share no type, and Keras has no type for them. So these
names are `Any` to the type checker, and tell the reader what is meant.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of the backend that Keras runs on, or a tracer of one."""

Scalar: TypeAlias = Any
"""A Python number, or an array of shape ()."""

Flag: TypeAlias = Any
"""A Python boolean, or a boolean array of shape ()."""

Functions: TypeAlias = Any
"""`keras.ops`, or an object with functions of the same names for Python numbers."""

Gradient: TypeAlias = Any
"""A gradient of the backend, dense or sparse; `None` for a variable that has none."""

Variable: TypeAlias = Any
"""A variable of Keras or of the backend."""

Slot: TypeAlias = Any
"""The storage of one part of the state: a variable or an array, a `Quantized`, or `None`."""

Dtype: TypeAlias = Any
"""A dtype of Keras or of the backend: a string or an object."""

Shape: TypeAlias = Sequence[int]
