"""Calls a step from Python as one graph."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_adam.backends.interface import TrackedVariable
from keras_adam.math.adam import Numbers


class Launcher:
    """Traces a step once for each kind of gradients, and then launches it side by side.

    Of a call of a `tf.function` from Python, a third would be spent on looking at each
    argument. Here the shapes are the variables', and the kinds tell the graphs apart:
    missing, dense of a dtype, or sparse of a dtype and any number of rows.
    """

    def __init__(self, take: Callable[..., Any], entries: Sequence[TrackedVariable]) -> None:
        """Prepare to launch `take(gradients, packed, learning_rate, iterations)`."""
        self._take = take
        self._shapes = [entry.slots.variable.shape for entry in entries]
        self._graph = functools.lru_cache(maxsize=16)(self._trace)

    def __call__(
        self, gradients: Sequence[Any], packed: Any, learning_rate: Any, iterations: Any
    ) -> Any:
        """Take the step; return what it returns, a tensor or `None`."""
        kinds: list[Any] = []
        arguments: list[Any] = []
        for gradient in gradients:
            if gradient is None:
                kinds.append(None)
            elif isinstance(gradient, tf.IndexedSlices):
                kinds.append((gradient.values.dtype, gradient.indices.dtype))
                arguments += [gradient.values, gradient.indices]
            else:
                kinds.append(gradient.dtype)
                arguments.append(gradient)
        graph = self._graph(tuple(kinds), learning_rate.dtype, iterations.dtype)
        # Calling `graph` would check each argument again.
        outputs = tf.raw_ops.StatefulPartitionedCall(
            args=[*arguments, packed, learning_rate, iterations, *graph.captured_inputs],
            Tout=[output.dtype for output in graph.outputs],
            f=graph,
        )
        return outputs[0] if outputs else None

    def _trace(self, kinds: tuple[Any, ...], rate_dtype: Any, iterations_dtype: Any) -> Any:
        gradients: list[Any] = []
        for shape, kind in zip(self._shapes, kinds, strict=True):
            if isinstance(kind, tuple):
                values_dtype, indices_dtype = kind
                spec = tf.IndexedSlicesSpec(shape, values_dtype, indices_dtype, None, [None])
            else:
                spec = None if kind is None else tf.TensorSpec(shape, kind)
            gradients.append(spec)
        numbers = tf.TensorSpec([len(Numbers._fields) - 1], tf.float64)
        scalars = tf.TensorSpec([], rate_dtype), tf.TensorSpec([], iterations_dtype)
        return tf.function(self._take, autograph=False).get_concrete_function(
            gradients, numbers, *scalars
        )
