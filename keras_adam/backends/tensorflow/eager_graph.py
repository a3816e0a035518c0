"""Calls a step from Python as one graph."""

import functools
import numbers as python_numbers
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_adam.annotations import Array, Flag, Gradient, Scalar
from keras_adam.backends.tensorflow.routes import Dtypes, StepPlan
from keras_adam.math.adam import Numbers

Run = Callable[[StepPlan, Sequence[Gradient], Numbers, Array], Flag | None]


class EagerGraphs:
    """Traces a step once for each plan and kind of gradients, and then calls the graph.

    A call of a `tf.function` from Python would spend a third of its time on looking at each
    argument. This class knows the shapes, which are those of the variables, and finds a graph by
    the dtypes of its gradients. A sparse gradient may have any number of rows.
    """

    def __init__(self, run: Run, shapes: Sequence[tf.TensorShape]) -> None:
        """Prepare to call `run` with gradients of these shapes."""
        self._run = run
        self._shapes = shapes
        self._graph = functools.lru_cache(maxsize=16)(self._trace)
        self._packed: tuple[tuple[float, ...], Array] | None = None

    def run(
        self,
        plan: StepPlan,
        dtypes: tuple[Dtypes, ...],
        gradients: Sequence[Gradient],
        numbers: Numbers,
        iterations: Array,
    ) -> Flag | None:
        """Run the step, and return its result. `dtypes` are those of the gradients."""
        arguments: list[Array] = []
        for gradient, dtype in zip(gradients, dtypes, strict=True):
            if isinstance(dtype, tuple):
                arguments += [gradient.values, gradient.indices]
            elif dtype is not None:
                arguments.append(gradient)
        learning_rate, *rest = numbers
        graph = self._graph(plan, dtypes, learning_rate.dtype, iterations.dtype)
        arguments += [learning_rate, self._pack(tuple(rest)), iterations]
        # A call of `graph` itself would check each argument again.
        outputs = tf.raw_ops.StatefulPartitionedCall(
            args=[*arguments, *graph.captured_inputs],
            Tout=[output.dtype for output in graph.outputs],
            f=graph,
        )
        return outputs[0] if outputs else None

    def _trace(
        self,
        plan: StepPlan,
        dtypes: tuple[Dtypes, ...],
        rate_dtype: tf.DType,
        iterations_dtype: tf.DType,
    ) -> tf.types.experimental.ConcreteFunction:
        gradients: list[tf.TypeSpec | None] = []
        for shape, dtype in zip(self._shapes, dtypes, strict=True):
            if isinstance(dtype, tuple):
                values_dtype, indices_dtype = dtype
                spec = tf.IndexedSlicesSpec(shape, values_dtype, indices_dtype, None, [None])
            else:
                spec = None if dtype is None else tf.TensorSpec(shape, dtype)
            gradients.append(spec)

        def run(
            gradients: Sequence[Gradient], learning_rate: Array, packed: Array, iterations: Array
        ) -> Flag | None:
            numbers = Numbers(learning_rate, *tf.unstack(packed))
            return self._run(plan, gradients, numbers, iterations)

        return tf.function(run, autograph=False).get_concrete_function(
            gradients,
            tf.TensorSpec([], rate_dtype),
            tf.TensorSpec([len(Numbers._fields) - 1], tf.float64),
            tf.TensorSpec([], iterations_dtype),
        )

    def _pack(self, numbers: tuple[Scalar, ...]) -> Array:
        """Return all numbers but the learning rate as one float64 tensor."""
        if not all(isinstance(number, python_numbers.Real) for number in numbers):
            return tf.stack([tf.cast(number, tf.float64) for number in numbers])
        if self._packed is None or self._packed[0] != numbers:  # the same at almost every step
            self._packed = numbers, tf.constant(np.array(numbers, np.float64))
        return self._packed[1]
