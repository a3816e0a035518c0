"""Adam for many variables by one call of torch's own kernel.

`torch._fused_adamw_` is the kernel behind `torch.optim.AdamW(fused=True)`. The documented function
around it, `torch.optim.adam.adam(fused=True)`, sorts the tensors and counts the steps of each
tensor at every call. This takes a quarter of the update of a model with many small variables. So we
call the kernel itself. If a release of torch has no kernel for a device or a dtype, the pure
functions update the variables. They compute the same numbers in more time.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from keras_adam.annotations import Scalar
from keras_adam.math.adam import Scalars, Slots

# The tensors that torch's `_foreach` functions take and return.
Tensors = list[torch.Tensor] | tuple[torch.Tensor, ...]

# The private parts of torch that we use, all of them in this file. If a new release moves one, a
# test names it.
TORCH_PRIVATE = (
    "_foreach_add_",
    "_foreach_clamp_max_",
    "_foreach_clamp_min",
    "_foreach_copy_",
    "_foreach_lerp_",
    "_foreach_mul",
    "_foreach_mul_",
    "_foreach_norm",
    "_foreach_zero_",
    "_fused_adamw_",
    "_fused_sgd_",
)

# Gradients that have to be clipped or unscaled are copied, because the user's gradients must not
# change. They are copied in parts of at most this many numbers. So a part is still in the cache of
# the CPU when the kernel uses it.
PART_NUMBERS = {"cpu": 1 << 20}
PART_NUMBERS_ON_A_GPU = 1 << 25

# The kernel's own bias corrections are 1 at this step. `math.adam` includes the bias corrections in
# the step size, as Keras does, because Keras adds epsilon in another place than the kernel.
NO_CORRECTION = 1e38


class Group(NamedTuple):
    """Variables that one call updates. All have one device and dtype, and all or none decay."""

    device: torch.device
    dtype: torch.dtype
    decays: bool
    positions: list[int]
    slots: list[Slots]
    """The variables and their state as contiguous tensors."""


@functools.cache
def is_available(device_type: str, dtype: torch.dtype) -> bool:
    """Try the kernel on one number, and say whether this torch has it for device and dtype."""

    def number(value: float) -> list[torch.Tensor]:
        return [torch.full((1,), value, dtype=dtype, device=device_type)]

    variable, gradient = number(0.0), number(1.0)
    # As in a step: a Python number on a CPU, a tensor on other devices.
    step_size = 0.5 if device_type == "cpu" else torch.ones((), device=device_type)
    scalars = Scalars(step_size, 0.5, 0.5, 1.0, *[0.0] * 7)
    try:
        slots = Slots(variable[0], number(0.0)[0], number(0.0)[0])
        _call([slots], gradient, False, scalars, None)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return True


def fits(slots: Slots) -> bool:
    """Say whether the kernel can update a variable, given the tensors of its slots."""
    its = [slot for slot in slots if slot is not None]
    first = slots.variable
    return (
        slots.master is None
        and all(isinstance(slot, torch.Tensor) for slot in its)
        and all(s.dtype == first.dtype and s.device == first.device for s in its)
        # The kernel goes through the memory of each tensor, and does not use its strides.
        and all(slot.is_contiguous() for slot in its)
        and first.dtype.is_floating_point
        and is_available(first.device.type, first.dtype)
    )


def norms(gradients: Sequence[torch.Tensor], order: float = 2.0) -> torch.Tensor:
    """Return the norms of the gradients in one tensor, float64 if the device has it."""
    stacked = torch.stack(torch._foreach_norm(list(gradients), order))
    return stacked if stacked.device.type == "mps" else stacked.double()


def all_finite(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return a boolean scalar tensor: whether all numbers of all gradients are finite."""
    if gradients[0].device.type != "cpu":
        return torch.isfinite(torch.stack(torch._foreach_norm(list(gradients), torch.inf))).all()
    # On a CPU, all fast norms of torch can overflow, so the extremes are checked.
    extremes = [extreme for g in gradients if g.numel() for extreme in torch.aminmax(g)]
    if not extremes:
        return torch.ones((), dtype=torch.bool)
    return torch.isfinite(torch.stack(extremes)).all()


def update(
    slots: Sequence[Slots],
    gradients: Sequence[torch.Tensor],
    decays: bool,
    factors: Sequence[Scalar] | None,
    bound: Scalar | None,
    scalars: Scalars,
    hold: torch.Tensor | None,
) -> None:
    """Take the step of variables of one device and dtype, with one gradient for each.

    Gradients have the variables' dtype, and are contiguous. Each is multiplied by its factor, if
    factors are given, and then clipped to [-bound, bound], if a bound is given. `hold` is `None` or
    a float32 scalar tensor; if it is 1, nothing changes.
    """
    if factors is None and bound is None:
        _call(slots, gradients, decays, scalars, hold)
        return
    most = PART_NUMBERS.get(gradients[0].device.type, PART_NUMBERS_ON_A_GPU)
    factors = [None] * len(gradients) if factors is None else factors
    for its, own, own_factors in _parts(slots, gradients, factors, most):
        if own_factors[0] is not None:
            is_one_tensor = all(f is own_factors[0] for f in own_factors)
            own = torch._foreach_mul(own, own_factors[0] if is_one_tensor else own_factors)
        if bound is not None:
            own = _clamp(own, bound)
        _call(its, own, decays, scalars, hold)


def _clamp(gradients: Tensors, bound: Scalar) -> Tensors:
    if isinstance(bound, torch.Tensor):
        return [g.clamp(-bound, bound) for g in gradients]
    clamped = torch._foreach_clamp_min(gradients, -bound)
    torch._foreach_clamp_max_(clamped, bound)
    return clamped


def _parts(
    slots: Sequence[Slots], gradients: Sequence[torch.Tensor], factors: Sequence[Scalar], most: int
) -> Iterator[tuple[list[Slots], Tensors, list[Scalar]]]:
    """Split parallel lists into parts of at most `most` numbers; large tensors are cut."""
    part: list[tuple[Slots, torch.Tensor, Scalar]] = []
    size = 0
    for each in _cut(slots, gradients, factors, most):
        count = each[1].numel()
        if part and size + count > most:
            yield tuple(map(list, zip(*part, strict=True)))  # type: ignore[misc]
            part, size = [], 0
        part.append(each)
        size += count
    yield tuple(map(list, zip(*part, strict=True)))  # type: ignore[misc]


def _cut(
    slots: Sequence[Slots], gradients: Sequence[torch.Tensor], factors: Sequence[Scalar], most: int
) -> Iterator[tuple[Slots, torch.Tensor, Scalar]]:
    for each, gradient, factor in zip(slots, gradients, factors, strict=True):
        count = gradient.numel()
        if count <= most:
            yield each, gradient, factor
            continue
        flat = Slots(*(None if slot is None else slot.view(-1) for slot in each))
        for start in range(0, count, most):
            cut = slice(start, start + most)
            its = Slots(*(None if slot is None else slot[cut] for slot in flat))
            yield its, gradient.view(-1)[cut], factor


def _call(
    slots: Sequence[Slots],
    gradients: Sequence[torch.Tensor],
    decays: bool,
    scalars: Scalars,
    hold: torch.Tensor | None,
) -> None:
    variables = [each.variable for each in slots]
    first = variables[0]
    weight_decay, step_size = 0.0, scalars.step_size
    if isinstance(step_size, torch.Tensor):
        step_size = step_size.to(first.device, torch.float32)
        hold = None if hold is None else hold.to(first.device)
        if decays:
            _decay(variables, scalars.decay, hold)
    elif decays and step_size:
        # The kernel subtracts `lr * weight_decay` times the variable.
        weight_decay = scalars.decay / step_size
    amsgrad = slots[0].velocity_hat is not None
    torch._fused_adamw_(
        variables,
        list(gradients),
        [each.momentum for each in slots],
        [each.velocity for each in slots],
        [each.velocity_hat for each in slots] if amsgrad else [],
        [torch.full((), NO_CORRECTION, device=first.device)] * len(variables),
        lr=step_size,
        beta1=1 - scalars.one_minus_beta_1,
        beta2=1 - scalars.one_minus_beta_2,
        weight_decay=weight_decay,
        eps=scalars.epsilon,
        amsgrad=amsgrad,
        maximize=False,
        grad_scale=None,
        found_inf=hold,
    )


def _decay(variables: Sequence[torch.Tensor], decay: Scalar, hold: torch.Tensor | None) -> None:
    """Subtract the share `decay` from each variable; `decay` is a tensor on the device.

    Adam's kernel takes the decay only as a number on the host. So we call the kernel of SGD, which
    takes a tensor as learning rate, with the variable as its gradient.
    """
    if isinstance(decay, torch.Tensor):
        decay = decay.to(variables[0].device, torch.float32)
    torch._fused_sgd_(
        list(variables),
        list(variables),
        [],
        weight_decay=0.0,
        momentum=0.0,
        lr=decay,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
        grad_scale=None,
        found_inf=hold,
    )


def average(
    slots: Sequence[Slots], scalars: Scalars, overwrites: bool, hold: torch.Tensor | None
) -> None:
    """Move averages towards their variables, as `math.adam.average` does."""
    weight, due = scalars.one_minus_ema_momentum, scalars.overwrite_with_average
    variables, averages = [e.variable for e in slots], [e.average for e in slots]
    if not isinstance(weight, torch.Tensor):
        torch._foreach_lerp_(averages, variables, weight)
        if overwrites and due:
            torch._foreach_copy_(variables, averages)
        return
    if hold is not None:
        weight, due = weight * (1 - hold), due * (1 - hold)
    for its_average, variable in zip(averages, variables, strict=True):
        its_average.lerp_(variable, weight.to(variable.device, variable.dtype))
        if overwrites:
            variable.lerp_(its_average, due.to(variable.device, variable.dtype))
