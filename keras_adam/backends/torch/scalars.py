"""The scalars of a step: numbers if the host has them, else tensors on the device.

If the host reads a tensor of a GPU, for example the learning rate, the host waits until the GPU has
finished all its work. So a scalar that depends on such a tensor stays a tensor.
"""

import math

import keras
import torch

from keras_adam.annotations import Dtype, Flag, Scalar
from keras_adam.math import adam
from keras_adam.math.adam import Numbers, Scalars
from keras_adam.math.options import Options


class Functions:
    """The functions that `adam.scalars` uses, for Python numbers and for scalar tensors."""

    @staticmethod
    def log1p(x: Scalar) -> Scalar:
        """Return log(1 + x), minus infinity at -1."""
        if isinstance(x, torch.Tensor):
            return torch.log1p(x)
        return math.log1p(x) if x > -1 else -math.inf

    @staticmethod
    def expm1(x: Scalar) -> Scalar:
        """Return exp(x) - 1."""
        return torch.expm1(x) if isinstance(x, torch.Tensor) else math.expm1(x)

    @staticmethod
    def sqrt(x: Scalar) -> Scalar:
        """Return the square root."""
        return torch.sqrt(x) if isinstance(x, torch.Tensor) else math.sqrt(x)

    @staticmethod
    def where(condition: Flag, x: Scalar, y: Scalar) -> Scalar:
        """Return x if the condition holds, else y."""
        if isinstance(condition, torch.Tensor):
            return torch.where(condition, x, y)
        return x if condition else y

    @staticmethod
    def ones_like(x: Scalar) -> Scalar:
        """Return 1 in the type of x."""
        return 1.0

    @staticmethod
    def equal(x: Scalar, y: Scalar) -> Flag:
        """Say whether x and y are equal."""
        return x == y

    @staticmethod
    def dtype(x: Scalar) -> Dtype:
        """Return the dtype of a tensor, or the type of a number."""
        return x.dtype if isinstance(x, torch.Tensor) else float

    @staticmethod
    def cast(x: Scalar | Flag, dtype: Dtype) -> Scalar:
        """Convert x to a result of `dtype`."""
        return x.to(dtype) if isinstance(x, torch.Tensor) else dtype(x)


def scalars_of_step(
    numbers: Numbers, iterations: torch.Tensor, options: Options, on_host: bool
) -> tuple[Scalars, Flag]:
    """Return the scalars of the step after `iterations` calls, and whether the step is an update.

    With gradient accumulation, not every step is an update. On the host both results are Python
    numbers. Otherwise they depend on the tensor `iterations`, and are tensors of its device.
    """
    calls: Scalar
    if on_host:
        calls = int(iterations)
        numbers = Numbers(*map(float, numbers))
    else:
        calls = iterations
        numbers = Numbers(*(_keep(number, iterations.device) for number in numbers))
    updates, is_update = calls, True
    if options.accumulation:
        steps = int(numbers.accumulation_steps)
        updates, is_update = calls // steps, (calls + 1) % steps == 0
    updates = float(updates) if on_host else updates.to(_float_dtype(iterations.device))
    return adam.scalars(numbers, updates, Functions), is_update


def _keep(number: Scalar, device: torch.device) -> Scalar:
    """Return a number on the host as a float, and a tensor in the best dtype of its device."""
    if isinstance(number, keras.Variable):
        number = number.value
    if not isinstance(number, torch.Tensor):
        return float(number)
    if number.device.type == "cpu" != device.type:
        return float(number)  # the host has it already
    return number.to(device, _float_dtype(device))


def _float_dtype(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
