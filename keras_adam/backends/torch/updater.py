"""Updates the variables in place, from their gradients."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import keras
import torch
from keras.src.backend.common.stateless_scope import in_stateless_scope

from keras_adam.annotations import Array, Flag, Gradient, Scalar, Variable
from keras_adam.backends import interface
from keras_adam.backends.interface import Assign, TrackedVariable
from keras_adam.backends.torch import fused, pure
from keras_adam.backends.torch.group_step import GroupStep
from keras_adam.backends.torch.places import Places
from keras_adam.backends.torch.scalars import scalars_of_step
from keras_adam.math import sparse, step, storage
from keras_adam.math.adam import Numbers, Scalars, Slots
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows


class Updater(interface.Updater):
    """Applies steps to the variables that an optimizer was built with.

    Torch's fused kernel updates the variables whose state has their own dtype, in one call for each
    `Group`. Clipping, loss scale, averages and accumulation are separate calls. The pure functions
    update the other variables, one after another.

    In two cases the pure functions update all variables: in a stateless scope of Keras, in which
    values may not change in place, and if torch traces the step. `torch.compile` then makes one
    kernel for each variable.
    """

    # Torch needs no such context, because it always assigns a variable at once.
    outside_of_graphs = staticmethod(contextlib.nullcontext)
    # No type is needed here, because torch's sparse gradients have the shape of their variable.
    sparse_gradient = ()

    def __init__(self, tracked: Sequence[TrackedVariable], assign: Assign) -> None:
        """Prepare for `tracked`, whose variables `assign` sets in a stateless scope."""
        self._tracked = list(tracked)
        self._assign = assign
        self._places = Places(self._tracked)
        self.fused_variables: int | None = None
        """The number of variables that the kernel updated in the last step outside of a trace."""

    def __call__(
        self,
        gradients: Sequence[Gradient],
        numbers: Numbers,
        iterations: Variable,
        options: Options,
    ) -> Flag | None:
        """Take a step, see `interface.Updater`."""
        gradients = [
            None if g is None else pure.known_gradient(g, each.slots.variable, options)
            for g, each in zip(gradients, self._tracked, strict=True)
        ]
        is_stateless = in_stateless_scope()
        with torch.no_grad():
            if is_stateless or torch.compiler.is_compiling():
                return self._traced(gradients, numbers, iterations.value, options, is_stateless)
            self._places.find(iterations)
            return self._eager(gradients, numbers, iterations.value, options)

    def _traced(
        self,
        gradients: Sequence[Gradient],
        numbers: Numbers,
        iterations: torch.Tensor,
        options: Options,
        is_stateless: bool,
    ) -> Flag | None:
        """Take the step by the pure functions, and read no value on the host."""
        scalars, is_update = scalars_of_step(numbers, iterations, options, on_host=False)
        finite = _all_finite(gradients) if options.skip_nonfinite else None
        slots = {
            i: storage.map_arrays(lambda v: v.value, each.slots)
            for i, each in enumerate(self._tracked)
            if each.slots.momentum is not None
        }
        means, scale = _means(slots, gradients, scalars, options), None
        if options.clip == "global_clipnorm":
            scale = _clip_scale(map(sparse.square_sum, means.values()), scalars)
        for i, its in _moving(slots, gradients).items():
            now = Now(scalars, options, is_update, finite, scale)
            new = self._next(i, its, gradients[i], means.get(i), now)
            if is_stateless:
                new = pure.whole(its, new, means.get(i))
                storage.map_arrays(self._assign, self._tracked[i].slots, new)
            else:
                pure.write(its, new, means.get(i))
        return finite

    def _eager(
        self,
        gradients: Sequence[Gradient],
        numbers: Numbers,
        iterations: torch.Tensor,
        options: Options,
    ) -> Flag | None:
        """Take the step in place, by the kernel if possible, else by the pure functions."""
        on_host = self._places.on_host
        scalars, is_update = scalars_of_step(numbers, iterations, options, on_host=on_host)
        finite = found = _all_finite(gradients) if options.skip_nonfinite else None
        if found is not None and on_host:
            if not found:
                return found
            finite = None
        groups, others = self._places.split(gradients, scalars, options)
        self.fused_variables = sum(len(group.slots) for group in groups)
        steps = [GroupStep(g, gradients, scalars, options, is_update, finite) for g in groups]
        for each in steps:
            each.accumulate()
        means: dict[int, Array | Rows] = {}
        scale: Scalar | None = None
        if is_update is not False:
            means = _means(others, gradients, scalars, options)
            if options.clip == "global_clipnorm":
                square_sums = [s for each in steps for s in each.square_sums()]
                square_sums += map(sparse.square_sum, means.values())
                scale = _clip_scale(square_sums, scalars)
                scale = float(scale) if on_host else scale
            for each in steps:
                each.update(scale)
        now = Now(scalars, options, is_update, finite, scale)
        for i, its in _moving(others, gradients).items():
            with keras.device(str(its.variable.device)):
                new = self._next(i, its, gradients[i], means.get(i), now)
            pure.write(its, new, means.get(i))
        return found

    def _next(self, i: int, slots: Slots, gradient: Gradient, mean: Gradient, now: "Now") -> Slots:
        """Return a variable's slots after the step, or only the rows that its gradient names."""
        scalars, new = pure.scalars_for(now.scalars, slots), slots
        if now.is_update is not False:
            decays = self._tracked[i].decays and now.options.weight_decay
            new = step.take_step(
                slots, mean, decays, scalars, now.options, now.clip_scale, now.finite
            )
        if now.is_update is not True:
            held = slots
            if gradient is not None:
                accumulator = step.next_accumulator(
                    slots, gradient, scalars, now.options, now.finite
                )
                held = slots._replace(accumulator=accumulator)
            new = held if now.is_update is False else storage.choose(now.is_update, new, held)
        return new


class Now(NamedTuple):
    """The values of one step that all variables share."""

    scalars: Scalars
    options: Options
    is_update: Flag
    finite: Flag | None
    clip_scale: Scalar | None


def _moving(slots: Mapping[int, Slots], gradients: Sequence[Gradient]) -> dict[int, Slots]:
    """Return the slots that the step changes."""
    return {
        i: its
        for i, its in slots.items()
        if not (gradients[i] is its.average is its.accumulator is None)
    }


def _means(
    slots: Mapping[int, Slots], gradients: Sequence[Gradient], scalars: Scalars, options: Options
) -> dict[int, Array | Rows]:
    """Return the mean gradients by position, without the missing ones."""
    return {
        i: step.mean_gradient(gradients[i], its, pure.scalars_for(scalars, its), options)
        for i, its in slots.items()
        if gradients[i] is not None
    }


def _all_finite(gradients: Sequence[Gradient]) -> torch.Tensor:
    """Say in a boolean scalar tensor whether all numbers of all gradients are finite."""
    by_device: dict[torch.device, list[torch.Tensor]] = {}
    for gradient in gradients:
        if gradient is not None:
            values = gradient.values if isinstance(gradient, Rows) else gradient
            by_device.setdefault(values.device, []).append(values)
    found, *others = map(fused.all_finite, by_device.values())
    for other in others:
        found = found & other.to(found.device)
    return found


def _clip_scale(square_sums: Iterable[torch.Tensor], scalars: Scalars) -> torch.Tensor:
    """Return the factor of `global_clipnorm`, float64."""
    first, *others = square_sums
    total = first.double() + sum(other.to(first.device, torch.float64) for other in others)
    return step.global_clip_scale(total, scalars.clip_bound)
