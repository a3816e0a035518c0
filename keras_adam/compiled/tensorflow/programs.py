"""The XLA programs of a step: what is computed for some variables with one set of options."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_adam import sparse, state, step
from keras_adam.options import Options
from keras_adam.rule import Scalars, Slots


class Programs:
    """Functions of the slots of some variables and their dense gradients, compiled by XLA.

    The variables are arguments, so that one program serves all variables of a shape.
    `vector` holds `rule.Scalars` in the compute dtype, which is one for all of a call.
    """

    def __init__(self, options: Options, assign: Callable[[Any, Any], None]) -> None:
        """Prepare; trace and compile nothing yet. `assign` sets a variable."""
        self._options = options
        self._assign = assign
        self.update = self._compiled(self._update)
        self.accumulate = self._compiled(self._accumulate)
        self.square_sum = self._compiled(self._square_sum)
        self.all_finite = self._compiled(self._all_finite)

    def _compiled(self, method: Callable[..., Any]) -> Callable[..., Any]:
        if not self._options.jit_compile:
            return method
        return tf.function(method, autograph=False, jit_compile=True)

    def _update(
        self,
        variables: Sequence[Slots],
        gradients: Sequence[Any],
        decays: Sequence[bool],
        vector: Any,
        clip_scale: Any | None,
        finite: Any | None,
    ) -> None:
        """Take a step."""
        scalars = Scalars(*tf.unstack(vector))
        for each, gradient, decay in zip(variables, gradients, decays, strict=True):
            slots = _read(each)
            if gradient is not None:
                gradient = step.mean_gradient(gradient, slots, scalars, self._options)
                gradient = step.clip(gradient, scalars, self._options, clip_scale)
            new = step.next_slots(slots, gradient, decay, scalars, self._options, finite)
            for variable, value in zip(state.arrays(each), state.arrays(new), strict=True):
                self._assign(variable, value)

    def _accumulate(
        self,
        variables: Sequence[Slots],
        gradients: Sequence[Any],
        vector: Any,
        finite: Any | None,
    ) -> None:
        """Add the gradients to the accumulators."""
        scalars = Scalars(*tf.unstack(vector))
        for each, gradient in zip(variables, gradients, strict=True):
            if gradient is not None:
                slots = _read(each)
                new = step.next_accumulator(slots, gradient, scalars, self._options, finite)
                self._assign(each.accumulator, new)

    def _square_sum(self, variables: Sequence[Slots], gradients: Sequence[Any], vector: Any) -> Any:
        """Return the square sum of the mean gradients, a scalar of the compute dtype."""
        scalars = Scalars(*tf.unstack(vector))
        means = [
            step.mean_gradient(gradient, _read(each), scalars, self._options)
            for each, gradient in zip(variables, gradients, strict=True)
            if gradient is not None
        ]
        return sum(map(sparse.square_sum, means), tf.zeros((), vector.dtype))

    def _all_finite(self, gradients: Sequence[Any]) -> Any:
        """Say in a boolean scalar tensor whether all elements of the gradients are finite."""
        return step.all_finite([gradient for gradient in gradients if gradient is not None])


def _read(slots: Slots) -> Slots:
    return state.map_arrays(lambda variable: variable.read_value(), slots)
