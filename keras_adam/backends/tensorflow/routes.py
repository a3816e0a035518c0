"""What updates each variable: TensorFlow's own operations, or an XLA program of a group.

The route changes how fast a step is, not what it computes. A step that is compiled as a whole,
by `jit_compile=True` of `fit` or of the function around it, is one XLA program by any route.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from keras_adam.annotations import Gradient
from keras_adam.backends.interface import TrackedVariable
from keras_adam.math import adam
from keras_adam.math.blocks import Quantized
from keras_adam.math.options import Options

# TensorFlow's kernel updates a variable of few numbers at once. It splits more of them over the
# threads, and to wake a thread takes longer than to update a thousand numbers: that pays for
# large ones. For what lies between, a dozen operations in place take less than one such kernel,
# or than an XLA program. `python -m benchmarks.updates.grid` measures what follows.
MOST_NUMBERS_AT_ONCE = 32
LEAST_NUMBERS_TO_SPLIT = 16384

# One program over all variables starts only when the last gradient is there, and
# its launch cost grows faster than linearly with its arguments; one program a
# variable costs a launch each. Neighbouring variables share one up to these bounds.
MAX_GROUP_VARIABLES = 32
MAX_GROUP_BYTES = 4 << 20

Kind = Literal["dense", "rows"] | None
"""What a gradient is: of all the variable, of some rows of it alone, or missing."""


@dataclasses.dataclass(frozen=True)
class StepPlan:
    """The positions of the variables that a step updates, each in exactly one part."""

    kernel: tuple[int, ...]
    """By TensorFlow's Adam kernel."""
    operations: tuple[int, ...]
    """By operations in place."""
    programs: tuple[tuple[int, ...], ...]
    """By an XLA program for each group."""
    rows: tuple[int, ...]
    """Only in the rows that their gradient names."""
    shares_programs: bool
    """Whether the pattern of gradients is worth programs of several variables, and a graph."""

    @property
    def in_place(self) -> tuple[int, ...]:
        """The positions of all that no XLA program updates."""
        return (*self.kernel, *self.operations, *self.rows)


def kinds(gradients: Sequence[Gradient], options: Options) -> tuple[Kind, ...]:
    """Return the kind of each gradient."""
    return tuple(
        None
        if gradient is None
        else "rows"
        if options.lazy and isinstance(gradient, tf.IndexedSlices)
        else "dense"
        for gradient in gradients
    )


def plan(
    tracked: Sequence[TrackedVariable],
    kinds: Sequence[Kind],
    options: Options,
    *,
    betas_fit: bool,
    shares_programs: bool,
) -> StepPlan:
    """Decide what updates each variable whose gradient is of the kind at its place.

    `betas_fit` says it of the betas and TensorFlow's operations; see `native`. `decays` of a
    tracked variable says whether it does with these options.
    """
    parts: dict[str, list[int]] = {"kernel": [], "operations": [], "program": [], "rows": []}
    moves_all = options.accumulation or any(each.slots.average is not None for each in tracked)
    for i, (each, kind) in enumerate(zip(tracked, kinds, strict=True)):
        has_state = each.slots.momentum is not None
        if has_state and (kind is not None or moves_all):
            route = kind if kind == "rows" else _route(each, options, betas_fit)
            parts[route].append(i)
    members = parts["program"]
    groups = _groups(tracked, members) if shares_programs else [[i] for i in members]
    return StepPlan(
        kernel=tuple(parts["kernel"]),
        operations=tuple(parts["operations"]),
        programs=tuple(map(tuple, groups)),
        rows=tuple(parts["rows"]),
        shares_programs=shares_programs,
    )


def _route(
    tracked: TrackedVariable, options: Options, betas_fit: bool
) -> Literal["kernel", "operations", "program"]:
    slots, dtype = tracked.slots, tracked.slots.variable.dtype.name
    fits_operations = (
        options.jit_compile
        and betas_fit
        and dtype == adam.compute_dtype(dtype)
        and not isinstance(slots.momentum, Quantized)
        and slots.momentum.dtype == slots.variable.dtype
        # Each operation is a launch there, which groups save.
        and "GPU" not in slots.variable.device
    )
    if not fits_operations:
        return "program"
    count = slots.variable.shape.num_elements()
    # The kernel has no AMSGrad, and nothing stops it half way.
    fits_kernel = slots.velocity_hat is None and not options.skip_nonfinite
    if count <= MOST_NUMBERS_AT_ONCE:
        return "kernel" if fits_kernel else "operations"
    if count < LEAST_NUMBERS_TO_SPLIT:
        return "operations"
    # A pass over a large variable for each option takes longer than the program, which has one.
    is_plain = slots.average is slots.accumulator is options.clip is None
    is_plain = is_plain and not (tracked.decays or options.loss_scale)
    return "kernel" if fits_kernel and is_plain else "program"


def _groups(tracked: Sequence[TrackedVariable], positions: Sequence[int]) -> list[list[int]]:
    """Split positions into runs of neighbours within the bounds, of one device and dtype."""
    groups: list[list[int]] = []
    before, size = None, 0
    for i in positions:
        variable = tracked[i].slots.variable
        variable_bytes = variable.shape.num_elements() * variable.dtype.size
        kind = variable.device, adam.compute_dtype(variable.dtype.name)
        is_full = groups and (
            len(groups[-1]) == MAX_GROUP_VARIABLES or size + variable_bytes > MAX_GROUP_BYTES
        )
        if kind != before or is_full:
            groups.append([])
            before, size = kind, 0
        groups[-1].append(i)
        size += variable_bytes
    return groups
