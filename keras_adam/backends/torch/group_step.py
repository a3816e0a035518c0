"""A step of the variables of a group: the kernel, and the calls that the options add to it."""

from collections.abc import Sequence

import torch

from keras_adam.annotations import Flag, Gradient, Scalar
from keras_adam.backends.torch import fused
from keras_adam.backends.torch.fused import Group, Tensors
from keras_adam.math import adam
from keras_adam.math.adam import Scalars
from keras_adam.math.options import Options


class GroupStep:
    """One step of a group.

    The scalars are Python numbers or tensors. If they are tensors, `is_update` and `finite` may be
    tensors too. The kernel is then called in any case. If one of the two is false, it changes
    nothing.
    """

    def __init__(
        self,
        group: Group,
        gradients: Sequence[Gradient],
        scalars: Scalars,
        options: Options,
        is_update: Flag,
        finite: Flag | None,
    ) -> None:
        """Gather the gradients that are not missing, in the variables' dtype and layout."""
        self._group, self._scalars, self._options = group, scalars, options
        own = [gradients[i] for i in group.positions]
        self._slots = [its for its, g in zip(group.slots, own, strict=True) if g is not None]
        self._gradients: Tensors = [_as_kernel_takes_it(g, group) for g in own if g is not None]
        self._factor: Scalar = 1.0
        conditions = [c for c in (is_update, finite) if isinstance(c, torch.Tensor)]
        self._hold: torch.Tensor | None = None
        if conditions:
            moves = conditions[0] if len(conditions) == 1 else conditions[0] & conditions[1]
            self._hold = 1 - moves.to(group.device, torch.float32)

    def accumulate(self) -> None:
        """Unscale the gradients, and add them to the accumulators if there are any."""
        unscale = 1 / self._scalars.loss_scale if self._options.loss_scale else 1.0
        if not self._options.accumulation:
            self._factor = unscale
            return
        accumulators = [its.accumulator for its in self._slots]
        if isinstance(unscale, torch.Tensor):
            self._gradients = torch._foreach_mul(self._gradients, self._tensor(unscale))
            unscale = 1.0
        if accumulators:
            torch._foreach_add_(accumulators, self._gradients, alpha=unscale)
        self._gradients, self._factor = accumulators, 1 / self._scalars.accumulation_steps

    def square_sums(self) -> list[torch.Tensor]:
        """Return the square sum of the mean gradients: a list of one float64 scalar, or none."""
        if not self._gradients:
            return []
        return [torch.sum(torch.square(fused.norms(self._gradients) * self._factor))]

    def update(self, clip_scale: Scalar | None) -> None:
        """Take the step from the mean gradients."""
        if self._gradients:
            bound = self._scalars.clip_bound if self._options.clip == "clipvalue" else None
            factors = self._factors(clip_scale)
            decays = self._group.decays and self._options.weight_decay
            fused.update(
                self._slots, self._gradients, decays, factors, bound, self._scalars, self._hold
            )
        slots = self._group.slots
        if self._options.accumulation:
            accumulators = [its.accumulator for its in slots]
            if self._hold is None:
                torch._foreach_zero_(accumulators)
            else:
                torch._foreach_mul_(accumulators, self._tensor(self._hold))
        if slots[0].average is not None:
            overwrites = self._options.overwrites_with_average
            fused.average(slots, self._scalars, overwrites, self._hold)

    def _factors(self, clip_scale: Scalar | None) -> list[Scalar] | None:
        """Return the factor of each gradient, or `None` if all factors are 1."""
        factor = self._factor
        if self._options.clip == "global_clipnorm":
            factor = factor * clip_scale
        if self._options.clip != "clipnorm":
            factors = [factor] * len(self._gradients)
        else:
            bound = self._scalars.clip_bound
            scales = adam.clip_scale(torch.square(fused.norms(self._gradients) * factor), bound)
            scales = scales * factor
            on_host = not isinstance(self._scalars.step, torch.Tensor)
            factors = scales.tolist() if on_host else list(scales)
        if all(isinstance(f, float) and f == 1 for f in factors):
            return None
        if isinstance(factors[0], torch.Tensor):
            same = self._tensor(factors[0])
            return [same if f is factors[0] else self._tensor(f) for f in factors]
        return factors

    def _tensor(self, scalar: torch.Tensor) -> torch.Tensor:
        return scalar.to(self._group.device, self._group.dtype)


def _as_kernel_takes_it(gradient: torch.Tensor, group: Group) -> torch.Tensor:
    if gradient.dtype != group.dtype or gradient.device != group.device:
        gradient = gradient.to(group.device, group.dtype)
    return gradient if gradient.is_contiguous() else gradient.contiguous()
