"""Chooses what updates each variable: TensorFlow's own operations, or the XLA program of a group.

The route changes the time of a step, not its result. If the whole step is compiled, by
`jit_compile=True` of `fit` or of the user's function, it is one XLA program with any route.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias

import tensorflow as tf

from keras_adam.annotations import Gradient
from keras_adam.backends.interface import TrackedVariable
from keras_adam.math import adam
from keras_adam.math.blocks import Quantized
from keras_adam.math.options import Options

# TensorFlow's kernel updates a variable of few numbers in one thread. It splits the work on a
# larger variable over the threads, and to wake a thread takes longer than to update a thousand
# numbers. So the kernel is fast for the smallest and for large variables. Between these sizes, a
# dozen operations in place take less time than the kernel or an XLA program. `python -m
# benchmarks.updates.grid` measures these bounds.
MOST_NUMBERS_AT_ONCE = 32
LEAST_NUMBERS_TO_SPLIT = 16384

# A single program over all variables would start only after the last gradient, and the time to
# launch it grows faster than linearly with its arguments. With one program for each variable, there
# would be a launch for each variable. So neighbouring variables share a program, up to these
# bounds.
MAX_GROUP_VARIABLES = 32
MAX_GROUP_BYTES = 4 << 20

Dtypes: TypeAlias = tf.DType | tuple[tf.DType, tf.DType] | None
"""The dtype of a dense gradient, those of a sparse one's values and indices, or `None`."""

Kind = Literal["dense", "rows"] | None
"""The kind of a gradient: of the whole variable, of some of its rows, or missing."""


@dataclasses.dataclass(frozen=True)
class StepPlan:
    """The positions of the variables that a step updates, each in exactly one part."""

    kernel: tuple[int, ...]
    """Positions that TensorFlow's Adam kernel updates."""
    operations: tuple[int, ...]
    """Positions that operations in place update."""
    programs: tuple[tuple[int, ...], ...]
    """Groups of positions; an XLA program updates each group."""
    rows: tuple[int, ...]
    """Positions of variables of which only the rows that the gradient names are updated."""
    shares_programs: bool
    """Whether variables share programs, and a graph is made, for this pattern of gradients."""

    @property
    def in_place(self) -> tuple[int, ...]:
        """The positions that no XLA program updates."""
        return (*self.kernel, *self.operations, *self.rows)


def dtypes(gradients: Sequence[Gradient]) -> tuple[Dtypes, ...]:
    """Return the dtypes of each gradient, on which the graph of a step depends."""
    return tuple(
        None
        if gradient is None
        else (gradient.values.dtype, gradient.indices.dtype)
        if isinstance(gradient, tf.IndexedSlices)
        else gradient.dtype
        for gradient in gradients
    )


def kinds(dtypes: Sequence[Dtypes], options: Options) -> tuple[Kind, ...]:
    """Return the kind of each gradient, given its dtypes."""
    return tuple(
        None if dtype is None else "rows" if options.lazy and isinstance(dtype, tuple) else "dense"
        for dtype in dtypes
    )


def plan(
    tracked: Sequence[TrackedVariable],
    kinds: Sequence[Kind],
    options: Options,
    *,
    betas_fit: bool,
    shares_programs: bool,
) -> StepPlan:
    """Decide what updates each variable, given the kind of each gradient.

    `betas_fit` says whether TensorFlow's operations are accurate with the betas; see `native`.
    `decays` of a tracked variable says whether it decays with these options.
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
        # On a GPU each operation has to be launched, and a group's program has fewer launches.
        and "GPU" not in slots.variable.device
    )
    if not fits_operations:
        return "program"
    count = slots.variable.shape.num_elements()
    # The kernel has no AMSGrad, and always updates the variable.
    fits_kernel = slots.velocity_hat is None and not options.skip_nonfinite
    if count <= MOST_NUMBERS_AT_ONCE:
        return "kernel" if fits_kernel else "operations"
    if count < LEAST_NUMBERS_TO_SPLIT:
        return "operations"
    # With options, operations in place go through a large variable once for each option. The
    # program takes less time.
    is_plain = slots.average is slots.accumulator is options.clip is None
    is_plain = is_plain and not (tracked.decays or options.loss_scale)
    return "kernel" if fits_kernel and is_plain else "program"


def _groups(tracked: Sequence[TrackedVariable], positions: Sequence[int]) -> list[list[int]]:
    """Split positions into groups of neighbours of one device and dtype, within the bounds."""
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
