"""Variables that share an XLA program."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_adam.backends.interface import TrackedVariable
from keras_adam.backends.tensorflow.programs import Programs
from keras_adam.math import adam


class Group:
    """Some variables of one device and one compute dtype.

    The methods take the dense gradients of *all* variables and pick their own; `scalars`
    has a vector for each compute dtype.
    """

    def __init__(
        self, entries: Sequence[TrackedVariable], members: Sequence[int], programs: Programs
    ) -> None:
        """Make a group of the `members` of `entries`."""
        self._members = members
        self._variables = [entries[i].slots for i in members]
        self._decays = tuple(entries[i].decays for i in members)
        self._programs = programs
        first = self._variables[0].variable
        self._device = first.device
        self._dtype = adam.compute_dtype(first.dtype.name)

    def update(
        self, gradients: Sequence[Any], scalars: dict[str, Any], clip_scale: Any, finite: Any
    ) -> None:
        """Take a step; `clip_scale` and `finite` are scalar tensors, or `None` if not needed."""
        own, vector = self._own(gradients), scalars[self._dtype]
        with tf.device(self._device):
            self._programs.update(self._variables, own, self._decays, vector, clip_scale, finite)

    def accumulate(self, gradients: Sequence[Any], scalars: dict[str, Any], finite: Any) -> None:
        """Add the gradients to the accumulators."""
        own, vector = self._own(gradients), scalars[self._dtype]
        with tf.device(self._device):
            self._programs.accumulate(self._variables, own, vector, finite)

    def square_sum(self, gradients: Sequence[Any], scalars: dict[str, Any]) -> Any:
        """Return the square sum of the mean gradients, a scalar tensor."""
        own, vector = self._own(gradients), scalars[self._dtype]
        with tf.device(self._device):
            return self._programs.square_sum(self._variables, own, vector)

    def all_finite(self, gradients: Sequence[Any]) -> Any:
        """Say in a boolean scalar tensor whether all gradients are finite."""
        with tf.device(self._device):
            return self._programs.all_finite(self._own(gradients))

    def has_any(self, gradients: Sequence[Any]) -> bool:
        """Say whether a gradient of this group's is there."""
        return any(gradient is not None for gradient in self._own(gradients))

    def _own(self, gradients: Sequence[Any]) -> list[Any]:
        return [gradients[i] for i in self._members]
