"""Which route updates a variable: TensorFlow's own operations, or a group's XLA program.

Neither changes what is computed, only how fast. A step that is compiled as a whole, by
`jit_compile=True` of `fit` or of the function around it, is one XLA program by any route.
"""

from collections.abc import Sequence

from keras_adam.backends.interface import TrackedVariable
from keras_adam.math import adam
from keras_adam.math.blocks import Quantized
from keras_adam.math.options import Options

# TensorFlow's kernel updates a variable of few numbers at once. It splits more of them over the
# threads, and to wake a thread takes longer than to update a thousand numbers: that pays for
# large ones. For what lies between, a dozen operations in place take less than one such kernel.
# `python -m benchmarks.updates.grid` measures what follows.
MOST_NUMBERS_AT_ONCE = 32
LEAST_NUMBERS_TO_SPLIT = 16384

# One program over all variables starts only when the last gradient is there, and
# its launch cost grows faster than linearly with its arguments; one program a
# variable costs a launch each. Neighbouring variables share one up to these bounds.
MAX_GROUP_VARIABLES = 32
MAX_GROUP_BYTES = 4 << 20


def choose_plain(
    entries: Sequence[TrackedVariable], positions: Sequence[int], options: Options
) -> list[int]:
    """Return the positions of the variables that TensorFlow's own operations update.

    They do all that a step does only for a variable that needs nothing but Adam, and decay if
    it is not large; the others share the programs of groups. An entry says in `decays` whether
    it does with these options. On a GPU each operation is a launch, which groups save.
    """
    more_than_adam = (
        options.clip
        or options.loss_scale
        or options.accumulation
        or options.skip_nonfinite
        or not options.jit_compile
    )
    return [] if more_than_adam else [i for i in positions if _is_plain(entries[i])]


def has_kernel(entry: TrackedVariable) -> bool:
    """Say whether TensorFlow's Adam kernel updates a plain variable, or operations in place."""
    count = entry.slots.variable.shape.num_elements()
    return not (entry.decays or MOST_NUMBERS_AT_ONCE < count < LEAST_NUMBERS_TO_SPLIT)


def _is_plain(entry: TrackedVariable) -> bool:
    slots, dtype = entry.slots, entry.slots.variable.dtype.name
    is_large = slots.variable.shape.num_elements() >= LEAST_NUMBERS_TO_SPLIT
    return (
        slots.velocity_hat is slots.average is slots.accumulator is None
        and dtype == adam.compute_dtype(dtype)
        and not isinstance(slots.momentum, Quantized)
        and slots.momentum.dtype == slots.variable.dtype
        and not (entry.decays and is_large)
        and "GPU" not in slots.variable.device
    )


def split(entries: Sequence[TrackedVariable], positions: Sequence[int]) -> list[list[int]]:
    """Split positions into runs of neighbours within the bounds, of one device and dtype."""
    groups: list[list[int]] = []
    before, size = None, 0
    for i in positions:
        variable = entries[i].slots.variable
        variable_bytes = variable.shape.num_elements() * variable.dtype.size
        kind = variable.device, adam.compute_dtype(variable.dtype.name)
        full = groups and (
            len(groups[-1]) == MAX_GROUP_VARIABLES or size + variable_bytes > MAX_GROUP_BYTES
        )
        if kind != before or full:
            groups.append([])
            before, size = kind, 0
        groups[-1].append(i)
        size += variable_bytes
    return groups
