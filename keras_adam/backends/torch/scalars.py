"""The scalars of a step: numbers where the host may read the device, else tensors on it.

To read a tensor of a GPU, its learning rate say, the host would wait for all that the GPU has yet
to do. So what depends on such a tensor stays a tensor.
"""

import math
from typing import Any

import keras
import torch

from keras_adam.math import adam
from keras_adam.math.adam import Numbers, Scalars
from keras_adam.math.options import Options


class Functions:
    """What `adam.scalars` calculates with: of Python numbers, or of scalar tensors."""

    @staticmethod
    def log1p(x: Any) -> Any:
        """Return log(1 + x), minus infinity at -1."""
        if isinstance(x, torch.Tensor):
            return torch.log1p(x)
        return math.log1p(x) if x > -1 else -math.inf

    @staticmethod
    def expm1(x: Any) -> Any:
        """Return exp(x) - 1."""
        return torch.expm1(x) if isinstance(x, torch.Tensor) else math.expm1(x)

    @staticmethod
    def sqrt(x: Any) -> Any:
        """Return the square root."""
        return torch.sqrt(x) if isinstance(x, torch.Tensor) else math.sqrt(x)

    @staticmethod
    def where(condition: Any, x: Any, y: Any) -> Any:
        """Choose between two."""
        if isinstance(condition, torch.Tensor):
            return torch.where(condition, x, y)
        return x if condition else y

    @staticmethod
    def ones_like(x: Any) -> Any:
        """Return one."""
        return 1.0

    @staticmethod
    def equal(x: Any, y: Any) -> Any:
        """Compare."""
        return x == y

    @staticmethod
    def dtype(x: Any) -> Any:
        """Return the dtype of a tensor, or the type of a number."""
        return x.dtype if isinstance(x, torch.Tensor) else float

    @staticmethod
    def cast(x: Any, dtype: Any) -> Any:
        """Convert to what `dtype` returned."""
        return x.to(dtype) if isinstance(x, torch.Tensor) else dtype(x)


def scalars_of_step(
    numbers: Numbers, iterations: torch.Tensor, options: Options, on_host: bool
) -> tuple[Scalars, Any]:
    """Return the scalars of the step after `iterations` calls, and whether it is an update.

    With gradient accumulation it may not be. On the host both are Python numbers; else they depend
    on `iterations`, and are tensors of its device.
    """
    calls: Any
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


def _keep(number: Any, device: torch.device) -> Any:
    """Return a number of the host as one, and a tensor in the best dtype of the device."""
    if isinstance(number, keras.Variable):
        number = number.value
    if not isinstance(number, torch.Tensor):
        return float(number)
    if number.device.type == "cpu" != device.type:
        return float(number)  # waits for nothing
    return number.to(device, _float_dtype(device))


def _float_dtype(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
