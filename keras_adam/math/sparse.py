"""Gradients that touch some rows of a variable only, as an embedding's do."""

from collections.abc import Callable
from typing import NamedTuple

from keras import ops

from keras_adam.annotations import Array, Flag, Scalar


class Rows(NamedTuple):
    """Gradient values for the rows `indices` of a variable; all other rows are zero.

    `indices` has shape `(n,)` and an integer dtype, `values` has shape
    `(n, ...)`. A row may be named more than once: its gradient is the sum.
    """

    indices: Array
    values: Array
    is_any: Flag | None = None
    """Whether a row is meant at all, a boolean scalar; `None` as long as nobody looked."""


def densify_or_sum(rows: Rows, row_count: int, lazy: bool, dtype: str) -> Array | Rows:
    """Return a sparse gradient in `dtype` as a step takes it: dense, or lazy with summed rows.

    Values are cast before they are summed: bfloat16 cannot count beyond 256. What is named of
    rows that a table of `row_count` rows does not have is left out, see `within`.
    """
    rows = within(rows._replace(values=ops.cast(rows.values, dtype)), row_count)
    return sum_repeated(rows) if lazy else to_dense(rows, row_count)


def within(rows: Rows, row_count: int) -> Rows:
    """Return the rows with indices from 0 to `row_count - 1` alone.

    A mention of another row becomes one of a row that is named anyway, with no gradient, since a
    compiled program has static shapes. Left as they are, such indices are an error in one
    operation of a backend, are dropped by the next, and count from the end in a third.
    """
    indices, values, _ = rows
    if ops.dtype(indices) != "int64":  # one that has -1, and every number of a row
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
    """Say in a boolean scalar whether a step changes the rows; `None`: it does."""
    if rows.is_any is None or finite is None:
        return finite if rows.is_any is None else rows.is_any
    return ops.logical_and(rows.is_any, finite)


def to_dense(rows: Rows, row_count: int) -> Array:
    """Return the gradient with all its rows, shape `(row_count, ...)`."""
    return ops.segment_sum(rows.values, rows.indices, num_segments=row_count)


def sum_repeated(rows: Rows) -> Rows:
    """Return sorted rows in which every mention of a row carries the row's whole sum.

    The number of mentions stays as it is, since a compiled program has static
    shapes. Whoever computes a row anew from this gradient gets the same result at
    each mention, and may write all of them; whoever sums over rows must count
    first mentions only (`first_mentions`).

    Keras's Adam squares each mention by itself, which gives a row named twice
    another step than the dense gradient would.
    """
    order = ops.argsort(rows.indices)
    indices = ops.take(rows.indices, order, axis=0)
    values = ops.take(rows.values, order, axis=0)
    segments = ops.cumsum(ops.cast(first_mentions(indices), "int32")) - 1
    sums = ops.segment_sum(values, segments, num_segments=ops.shape(values)[0])
    return Rows(indices, ops.take(sums, segments, axis=0), rows.is_any)


def first_mentions(sorted_indices: Array) -> Array:
    """Say of each row, in a boolean array of shape `(n,)`, whether it is its first mention."""
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
