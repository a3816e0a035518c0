"""Sums gradients over the replicas, and passes them to the step, from Python or in a trace."""

import functools
from collections.abc import Sequence

import tensorflow as tf

from keras_adam.annotations import Flag, Gradient, Variable
from keras_adam.backends import interface
from keras_adam.backends.interface import Assign, TrackedVariable
from keras_adam.backends.tensorflow import native, routes
from keras_adam.backends.tensorflow.eager_graph import EagerGraphs
from keras_adam.backends.tensorflow.replicas import (
    local_replicas,
    local_variable,
    sum_over_replicas,
)
from keras_adam.backends.tensorflow.step import Step
from keras_adam.math.adam import Numbers
from keras_adam.math.options import Options


class Updater(interface.Updater):
    """Applies steps to the variables that an optimizer was built with."""

    sparse_gradient = tf.IndexedSlices
    outside_of_graphs = staticmethod(tf.init_scope)

    def __init__(self, tracked: Sequence[TrackedVariable], assign: Assign) -> None:
        """Prepare for the variables `tracked`; trace and compile nothing yet."""
        self._tracked = list(tracked)
        self._assign = assign
        # If a user alternates between more sets of options than this, steps are made again. This is
        # probably a mistake of the user, and costs only time.
        self._step = functools.lru_cache(maxsize=8)(self._make_step)

    def __call__(
        self,
        gradients: Sequence[Gradient],
        numbers: Numbers,
        iterations: Variable,
        options: Options,
    ) -> Flag | None:
        """Take a step, see `interface.Updater`.

        Under a distribution strategy, gradients are summed over the replicas first, and every
        replica updates its own copy.
        """
        gradients = [_without_shape(g) for g in sum_over_replicas(gradients)]
        iterations = tf.convert_to_tensor(iterations)
        learning_rate = tf.convert_to_tensor(numbers.learning_rate)
        numbers = numbers._replace(learning_rate=learning_rate)
        betas_fit = native.betas_fit(numbers)
        dtypes = routes.dtypes(gradients)
        finite = None
        for replica in local_replicas(self._tracked[0].slots.variable):
            step, graphs = self._step(options, betas_fit, replica)
            plan = step.plan(dtypes)
            if tf.executing_eagerly() and plan.shares_programs and options.jit_compile:
                finite = graphs.run(plan, dtypes, gradients, numbers, iterations)
            else:
                finite = step.run(plan, gradients, numbers, iterations)
        return finite

    def _make_step(
        self, options: Options, betas_fit: bool, replica: int
    ) -> tuple[Step, EagerGraphs]:
        tracked = [local_variable(each, replica) for each in self._tracked]
        step = Step(tracked, options, betas_fit, self._assign)
        return step, EagerGraphs(step.run, [each.slots.variable.shape for each in tracked])


def _without_shape(gradient: Gradient) -> Gradient:
    """Drop the dense shape of a sparse gradient; convert its values and indices to tensors."""
    if isinstance(gradient, tf.IndexedSlices):
        values = tf.convert_to_tensor(gradient.values)
        return tf.IndexedSlices(values, tf.convert_to_tensor(gradient.indices))
    return gradient
