"""Gradients that touch only some rows of a variable, as those of an embedding do."""

from collections.abc import Callable
from typing import NamedTuple

from keras import ops

from keras_adam.annotations import Array, Flag, Scalar


class Rows(NamedTuple):
    """Gradient values for the rows `indices` of a variable; all other rows are zero.

    `indices` has shape `(n,)` and an integer dtype, `values` has shape
    `(n, ...)`. A row may be named more than once, and its gradient is then the sum.
    """

    indices: Array
    values: Array
    is_any: Flag | None = None
    """Whether any row of the variable is named, a boolean scalar; `None` if not checked."""


def densify_or_sum(rows: Rows, row_count: int, lazy: bool, dtype: str) -> Array | Rows:
    """Convert a sparse gradient for a step, in `dtype`: dense, or if `lazy` with summed rows.

    Values are cast before they are summed, because bfloat16 cannot count beyond 256. The variable
    has `row_count` rows. Indices of other rows are left out, see `within`.
    """
    rows = within(rows._replace(values=ops.cast(rows.values, dtype)), row_count)
    return sum_repeated(rows) if lazy else to_dense(rows, row_count)


def within(rows: Rows, row_count: int) -> Rows:
    """Return only the rows with indices from 0 to `row_count - 1`.

    A compiled program has static shapes, so a mention of another row cannot be removed. Its index
    is replaced by that of a row that is named anyway, and its gradient by zero. Without this, the
    result would depend on the backend's operation: one raises an error for such indices, another
    ignores them, and a third counts them from the end.
    """
    indices, values, _ = rows
    if ops.dtype(indices) != "int64":  # int32 holds -1 and all row numbers
        indices = ops.cast(indices, "int32")
    is_row = ops.logical_and(indices >= 0, indices < row_count)
    named = ops.max(ops.where(is_row, indices, -1), initial=-1)
    is_value = is_row[(slice(None), *(None for _ in values.shape[1:]))]
    return Rows(
        ops.where(is_row, indices, ops.maximum(named, 0)),
        ops.where(is_value, values, ops.zeros_like(values)),
        named >= 0,
    )


def changes(rows: Rows, finite: Flag | None) -> Flag | None:
    """Say in a boolean scalar whether a step changes the rows; `None` means yes."""
    if rows.is_any is None or finite is None:
        return finite if rows.is_any is None else rows.is_any
    return ops.logical_and(rows.is_any, finite)


def to_dense(rows: Rows, row_count: int) -> Array:
    """Return the gradient with all its rows, shape `(row_count, ...)`."""
    return ops.segment_sum(rows.values, rows.indices, num_segments=row_count)


def sum_repeated(rows: Rows) -> Rows:
    """Return sorted rows in which every mention of a row carries the row's whole sum.

    The number of mentions does not change, because a compiled program has static shapes. A new row
    computed from this gradient is the same at each mention, so all mentions may be written. A sum
    over rows must count only first mentions (`first_mentions`).

    Keras's Adam squares each mention separately. So a row that is named twice gets another step
    than with the dense gradient.
    """
    order = ops.argsort(rows.indices)
    indices = ops.take(rows.indices, order, axis=0)
    values = ops.take(rows.values, order, axis=0)
    segments = ops.cumsum(ops.cast(first_mentions(indices), "int32")) - 1
    sums = ops.segment_sum(values, segments, num_segments=ops.shape(values)[0])
    return Rows(indices, ops.take(sums, segments, axis=0), rows.is_any)


def first_mentions(sorted_indices: Array) -> Array:
    """Return a boolean array of shape `(n,)`: whether each mention is the first of its row."""
    changes = ops.not_equal(sorted_indices[1:], sorted_indices[:-1])
    return ops.concatenate([ops.ones_like(sorted_indices[:1], dtype="bool"), changes], axis=0)


def map_values(function: Callable[[Array], Array], gradient: Array | Rows) -> Array | Rows:
    """Apply an elementwise `function` to a dense gradient or to the values of rows."""
    if isinstance(gradient, Rows):
        return gradient._replace(values=function(gradient.values))
    return function(gradient)


def square_sum(gradient: Array | Rows) -> Scalar:
    """Return the sum of squares of a gradient whose repeated rows are summed, a scalar."""
    if not isinstance(gradient, Rows):
        return ops.sum(ops.square(gradient))
    row_sums = ops.sum(
        ops.square(gradient.values), axis=tuple(range(1, len(gradient.values.shape)))
    )
    return ops.sum(ops.where(first_mentions(gradient.indices), row_sums, 0))
