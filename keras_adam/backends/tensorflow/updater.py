"""From gradients to the step that takes them."""

import functools
import numbers as python_numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_adam.backends.interface import TrackedVariable
from keras_adam.backends.tensorflow import plain_adam
from keras_adam.backends.tensorflow.compiled_step import CompiledStep
from keras_adam.backends.tensorflow.replicas import (
    local_entry,
    local_replicas,
    sum_over_replicas,
)
from keras_adam.math.adam import Numbers
from keras_adam.math.options import Options


class Updater:
    """Applies steps to the variables that an optimizer was built with."""

    # Where a variable is set once although a graph is being traced.
    outside_of_graphs = staticmethod(tf.init_scope)
    # A gradient of some rows, which has its values in `values`.
    sparse_gradient = tf.IndexedSlices

    def __init__(
        self, entries: Sequence[TrackedVariable], assign: Callable[[Any, Any], None]
    ) -> None:
        """Prepare for `entries`, whose variables `assign` sets; trace and compile nothing yet."""
        self.entries = list(entries)
        self._assign = assign
        # More than a few options in turn are a mistake; whoever makes it pays with time only.
        self._step = functools.lru_cache(maxsize=8)(self._make_step)
        self._packed: tuple[Any, Any] = None, None

    def __call__(
        self, gradients: Sequence[Any], numbers: Numbers, iterations: Any, options: Options
    ) -> Any:
        """Take a step with one gradient, or `None`, for each entry.

        `iterations` is the number of calls that came before. Under a distribution
        strategy, gradients are summed over the replicas first, and every replica
        updates its own copy.

        Returns a boolean scalar tensor: whether the gradients were finite, or
        `None` where that was not asked for.
        """
        gradients = [_without_shape(g) for g in sum_over_replicas(gradients)]
        packed = self._pack(numbers)
        learning_rate = tf.convert_to_tensor(numbers.learning_rate)
        iterations = tf.convert_to_tensor(iterations)
        plain_is_exact = plain_adam.is_exact(numbers)
        finite = None
        for replica in local_replicas(self.entries[0].slots.variable):
            step = self._step(options, plain_is_exact, replica)
            finite = step.take(gradients, packed, learning_rate, iterations)
        return finite

    def _make_step(self, options: Options, plain_is_exact: bool, replica: int) -> CompiledStep:
        entries = [local_entry(entry, replica) for entry in self.entries]
        return CompiledStep(entries, options, plain_is_exact, self._assign)

    def _pack(self, numbers: Numbers) -> Any:
        """Return all numbers but the learning rate as one float64 tensor."""
        rest = numbers[1:]
        if not all(isinstance(number, python_numbers.Real) for number in rest):
            return tf.stack([tf.cast(number, tf.float64) for number in rest])
        if not tf.executing_eagerly():
            return tf.constant(np.array(rest, np.float64))
        if self._packed[0] != rest:  # the same at almost every step
            self._packed = rest, tf.constant(np.array(rest, np.float64))
        return self._packed[1]


def _without_shape(gradient: Any) -> Any:
    """Drop a sparse gradient's shape, which is its variable's, and make tensors of the rest."""
    if isinstance(gradient, tf.IndexedSlices):
        values = tf.convert_to_tensor(gradient.values)
        return tf.IndexedSlices(values, tf.convert_to_tensor(gradient.indices))
    return gradient
