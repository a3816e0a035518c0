"""The step of one variable by the pure functions, if the kernel cannot update it."""

import keras
import torch

from keras_adam.annotations import Gradient, Variable
from keras_adam.math import adam, sparse, storage
from keras_adam.math.adam import Scalars, Slots
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows


def known_gradient(
    gradient: torch.Tensor, variable: Variable, options: Options
) -> torch.Tensor | Rows:
    """Convert a gradient for a step: to `Rows` if it is sparse and lazy, else to a dense one.

    Raises:
        TypeError: the gradient's layout is neither strided nor `torch.sparse_coo`.

    """
    if gradient.layout == torch.strided:
        return gradient
    if gradient.layout != torch.sparse_coo:
        raise TypeError(
            "A sparse gradient must have the layout torch.sparse_coo; received one of "
            f"{gradient.layout}. `gradient.to_sparse_coo()` converts it."
        )
    if gradient.sparse_dim() != 1:
        return gradient.to_dense()
    rows = Rows(gradient._indices()[0], gradient._values())
    dtype = _compute_dtype(variable)
    if options.lazy and not rows.indices.numel():  # Keras cannot sum zero rows
        return rows._replace(values=rows.values.to(getattr(torch, dtype)))
    return sparse.densify_or_sum(rows, gradient.shape[0], options.lazy, dtype)


def scalars_for(scalars: Scalars, slots: Slots) -> Scalars:
    """Return the scalars as tensors of the variable's device, in its compute dtype."""
    device, dtype = slots.variable.device, getattr(torch, _compute_dtype(slots.variable))
    return Scalars(*(s.to(device, dtype) if isinstance(s, torch.Tensor) else s for s in scalars))


def write(slots: Slots, new: Slots, gradient: Gradient) -> None:
    """Write new values into the tensors of the slots, or into the rows that a gradient names."""
    if isinstance(gradient, Rows):
        storage.map_arrays(lambda old, rows: old.index_copy_(0, gradient.indices, rows), slots, new)
    else:
        storage.map_arrays(
            lambda old, values: old if old is values else old.copy_(values), slots, new
        )


def whole(slots: Slots, new: Slots, gradient: Gradient) -> Slots:
    """Return all rows of new slots, given those that a gradient names."""
    if not isinstance(gradient, Rows):
        return new
    return storage.map_arrays(
        lambda old, rows: old.index_copy(0, gradient.indices, rows), slots, new
    )


def _compute_dtype(variable: Variable | torch.Tensor) -> str:
    return adam.compute_dtype(keras.backend.standardize_dtype(variable.dtype))
