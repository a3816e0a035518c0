"""Finds the tensors of an optimizer, and the groups that the kernel updates together."""

import operator
from collections.abc import Sequence

import keras
import torch

from keras_adam.annotations import Gradient, Variable
from keras_adam.backends.interface import TrackedVariable
from keras_adam.backends.torch import fused
from keras_adam.backends.torch.fused import Group
from keras_adam.math import storage
from keras_adam.math.adam import Scalars, Slots
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows

HALF = (torch.bfloat16, torch.float16)


class Places:
    """The tensors of the variables and their state, in groups.

    To read the values of hundreds of Keras's variables takes as long as the update. So this class
    remembers the tensors, and finds them again if one of them has moved.
    """

    def __init__(self, tracked: Sequence[TrackedVariable]) -> None:
        """Remember `tracked`, and look at no value yet."""
        self.on_host = False
        """Whether all tensors are in the memory of the host, so that the host can read them."""
        self._tracked = [each for each in enumerate(tracked) if each[1].slots.momentum is not None]
        self._variables: list[keras.Variable] = []
        for _, each in self._tracked:
            storage.map_arrays(self._variables.append, each.slots)
        self._tensors: list[torch.Tensor] = []
        self._addresses: list[int] = []
        self._groups: list[Group] = []
        self._others: dict[int, Slots] = {}

    def find(self, iterations: Variable) -> None:
        """Find the tensors again if one of them has moved."""
        # Keras's property `value` takes some microseconds more than its `_value`.
        tensors = [variable._value for variable in self._variables]
        is_same = len(tensors) == len(self._tensors) and all(
            map(operator.is_, tensors, self._tensors)
        )
        # `model.to` sets the `.data` of the weights, and so moves them.
        weights = [each.slots.variable._value for _, each in self._tracked]
        addresses = [*map(torch.Tensor.data_ptr, weights)]
        if is_same and addresses == self._addresses:
            return
        self._tensors, self._addresses = tensors, addresses
        self.on_host = all(t.device.type == "cpu" for t in [*tensors, iterations.value])
        self._groups, self._others = [], {}
        groups: dict[tuple[torch.device, torch.dtype, bool], Group] = {}
        for i, each in self._tracked:
            slots = storage.map_arrays(lambda variable: variable._value, each.slots)
            if not fused.fits(slots):
                self._others[i] = slots
                continue
            kind = slots.variable.device, slots.variable.dtype, each.decays
            if kind not in groups:
                groups[kind] = Group(*kind, [], [])
            groups[kind].positions.append(i)
            groups[kind].slots.append(slots)
        self._groups = list(groups.values())

    def split(
        self, gradients: Sequence[Gradient], scalars: Scalars, options: Options
    ) -> tuple[list[Group], dict[int, Slots]]:
        """Return the groups that the kernel updates, and the other slots by position."""
        kept, others = [], dict(self._others)
        for group in self._groups:
            if not _serves(group, scalars, options):
                others.update(zip(group.positions, group.slots, strict=True))
                continue
            rows = [i for i in group.positions if isinstance(gradients[i], Rows)]
            if rows:
                pairs = list(zip(group.positions, group.slots, strict=True))
                others.update((i, its) for i, its in pairs if i in rows)
                pairs = [(i, its) for i, its in pairs if i not in rows]
                group = group._replace(
                    positions=[i for i, _ in pairs], slots=[its for _, its in pairs]
                )
            if group.slots:
                kept.append(group)
        return kept, others


def _serves(group: Group, scalars: Scalars, options: Options) -> bool:
    """Say whether the kernel and the separate calls can do the whole step of a group."""
    if not options.jit_compile:
        return False
    betas_and_epsilon = scalars.one_minus_beta_1, scalars.one_minus_beta_2, scalars.epsilon
    if any(isinstance(number, torch.Tensor) for number in betas_and_epsilon):
        return False  # the kernel takes the betas as numbers on the host
    if group.dtype in HALF:
        # With separate calls, numbers would be rounded after each call. The pure functions round
        # once.
        is_plain = options.is_plain and group.slots[0].average is None
        return is_plain and not (options.skip_nonfinite and group.dtype == torch.float16)
    # If the scalars are on the device, the host does not know whether this call is an update.
    is_on_host = not isinstance(scalars.step, torch.Tensor)
    return is_on_host or not (options.accumulation and options.skip_nonfinite)
