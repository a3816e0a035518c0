"""The XLA programs of a step: what is computed for some variables with one set of options."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_adam.math import sparse, step, storage
from keras_adam.math.adam import Scalars, Slots
from keras_adam.math.options import Options


class Programs:
    """Functions of the slots of some variables and their dense gradients, compiled by XLA.

    The variables are arguments, so that one program serves all variables of a shape.
    `vector` holds `adam.Scalars` in the compute dtype, which is one for all of a call.
    """

    def __init__(self, options: Options, assign: Callable[[Any, Any], None]) -> None:
        """Prepare; trace and compile nothing yet. `assign` sets a variable."""
        self._options = options
        self._assign = assign
        self._step = self._compiled(self._take_step)
        self._moments = self._compiled(self._update_moments)
        self._weights = self._compiled(self._update_weights)
        self.accumulate = self._compiled(self._accumulate)
        self.square_sum = self._compiled(self._square_sum)
        self.all_finite = self._compiled(self._all_finite)

    def _compiled(self, method: Callable[..., Any]) -> Callable[..., Any]:
        if not self._options.jit_compile:
            return method
        return tf.function(method, autograph=False, jit_compile=True)

    def update(
        self,
        variables: Sequence[Slots],
        gradients: Sequence[Any],
        decays: Sequence[bool],
        vector: Any,
        clip_scale: Any | None,
        finite: Any | None,
    ) -> None:
        """Take a step."""
        on_gpu = "GPU" in variables[0].variable.device
        if on_gpu or not self._options.moves_by_stored:
            self._step(variables, gradients, decays, vector, clip_scale, finite)
            return
        # In one program XLA on a CPU would compute momentum and velocity once more for the
        # variable, from copies of the old ones.
        self._moments(variables, gradients, vector, clip_scale, finite)
        moves = tuple(gradient is not None for gradient in gradients)
        self._weights(variables, moves, decays, vector, finite)

    def _take_step(
        self,
        variables: Sequence[Slots],
        gradients: Sequence[Any],
        decays: Sequence[bool],
        vector: Any,
        clip_scale: Any | None,
        finite: Any | None,
    ) -> None:
        scalars = Scalars(*tf.unstack(vector))
        for each, gradient, decay in zip(variables, gradients, decays, strict=True):
            slots = _read(each)
            mean = self._clipped_mean(gradient, slots, scalars, clip_scale)
            new = step.next_slots(slots, mean, decay, scalars, self._options, finite)
            storage.map_arrays(self._assign, each, new)

    def _update_moments(
        self,
        variables: Sequence[Slots],
        gradients: Sequence[Any],
        vector: Any,
        clip_scale: Any | None,
        finite: Any | None,
    ) -> None:
        scalars = Scalars(*tf.unstack(vector))
        for each, gradient in zip(variables, gradients, strict=True):
            if gradient is not None:
                slots = _read(each)
                mean = self._clipped_mean(gradient, slots, scalars, clip_scale)
                new = step.next_moments(slots, mean, scalars, self._options, finite)
                storage.map_arrays(self._assign, storage.moments_of(each), storage.moments_of(new))

    def _update_weights(
        self,
        variables: Sequence[Slots],
        moves: Sequence[bool],
        decays: Sequence[bool],
        vector: Any,
        finite: Any | None,
    ) -> None:
        scalars = Scalars(*tf.unstack(vector))
        for each, move, decay in zip(variables, moves, decays, strict=True):
            new = step.next_weights(_read(each), move, decay, scalars, self._options, finite)
            rest = storage.without_moments
            storage.map_arrays(self._assign, rest(each), rest(new))

    def _clipped_mean(
        self, gradient: Any, slots: Slots, scalars: Scalars, clip_scale: Any | None
    ) -> Any:
        if gradient is None:
            return None
        mean = step.mean_gradient(gradient, slots, scalars, self._options)
        return step.clip(mean, scalars, self._options, clip_scale)

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
    return storage.map_arrays(lambda variable: variable.read_value(), slots)
