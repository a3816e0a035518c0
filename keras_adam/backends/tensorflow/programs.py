"""The XLA programs of a step: each computes a group of variables with one set of options."""

import functools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import tensorflow as tf

from keras_adam.annotations import Array, Flag, Gradient, Scalar
from keras_adam.backends.interface import TrackedVariable
from keras_adam.math import adam, sparse, step, storage
from keras_adam.math.adam import Scalars, Slots
from keras_adam.math.options import Options

# The positions of some variables with the same device and compute dtype.
Group = Sequence[int]
# The gradients of all variables. Those of the group's variables are dense or `None`.
Gradients = Sequence[Gradient]
# A vector of `Scalars` for each compute dtype, so that a program has one argument, not eleven.
Packed = Mapping[str, Array]

Result = TypeVar("Result")


class Programs:
    """Takes the steps of groups of variables, with one program for each group.

    The variables are arguments of the programs, so that one program serves all variables of a
    shape. `clip_scale` and `finite` are scalar tensors, or `None` if they are not needed.
    """

    def __init__(self, tracked: Sequence[TrackedVariable], options: Options) -> None:
        """Prepare; trace and compile nothing yet."""
        self._tracked = tracked
        self._options = options

    def _run(self, function: Callable[..., Result], *arguments: object) -> Result:
        if not self._options.jit_compile:
            return function(self._options, *arguments)
        kinds = tuple(map(_kind, tf.nest.flatten(arguments)))
        return _compiled(function, self._options, kinds)(*arguments)

    def pack(self, scalars: Scalars) -> Packed:
        """Convert float64 scalars to the form that the programs take."""
        vector = tf.stack(scalars)
        dtypes = {_compute_dtype(each) for each in self._tracked}
        return {dtype: tf.cast(vector, dtype) for dtype in dtypes}

    def update(
        self,
        group: Group,
        gradients: Gradients,
        packed: Packed,
        clip_scale: Scalar | None,
        finite: Flag | None,
    ) -> None:
        """Take a step."""
        slots, own, vector = self._arguments(group, gradients, packed)
        decays = tuple(self._tracked[i].decays for i in group)
        with self._device(group):
            on_gpu = "GPU" in slots[0].variable.device
            if on_gpu or not self._options.moves_by_stored:
                self._run(_take_step, slots, own, decays, vector, clip_scale, finite)
                return
            # There are two programs, because in a single program XLA on a CPU would compute
            # momentum and velocity again for the variable, from copies of the old values.
            self._run(_update_moments, slots, own, vector, clip_scale, finite)
            moves = tuple(gradient is not None for gradient in own)
            self._run(_update_weights, slots, moves, decays, vector, finite)

    def accumulate(
        self, group: Group, gradients: Gradients, packed: Packed, finite: Flag | None
    ) -> None:
        """Add the gradients to the accumulators."""
        with self._device(group):
            self._run(_update_accumulators, *self._arguments(group, gradients, packed), finite)

    def square_sum(self, group: Group, gradients: Gradients, packed: Packed) -> Scalar:
        """Return the square sum of the mean gradients, a scalar of the compute dtype."""
        with self._device(group):
            return self._run(_sum_squares, *self._arguments(group, gradients, packed))

    def all_finite(self, group: Group, gradients: Gradients) -> Flag:
        """Say in a boolean scalar whether all gradients of the group are finite.

        The group must have at least one gradient.
        """
        with self._device(group):
            return self._run(_all_finite, [gradients[i] for i in group if gradients[i] is not None])

    def _arguments(
        self, group: Group, gradients: Gradients, packed: Packed
    ) -> tuple[list[Slots], list[Array | None], Array]:
        slots = [self._tracked[i].slots for i in group]
        vector = packed[_compute_dtype(self._tracked[group[0]])]
        return slots, [gradients[i] for i in group], vector

    def _device(self, group: Group) -> AbstractContextManager[None]:
        return tf.device(self._tracked[group[0]].slots.variable.device)


# All optimizers share the programs. TensorFlow never frees what XLA has compiled for a function,
# even if the function is gone. So another optimizer with variables of the same shapes uses the same
# program.
@functools.lru_cache(maxsize=1024)
def _compiled(
    function: Callable[..., Result], options: Options, kinds: tuple[Hashable, ...]
) -> Callable[..., Result]:
    """Return the program of `function` for arguments of these kinds."""

    def run(*arguments: object) -> Result:
        return function(options, *arguments)

    run.__name__ = function.__name__  # XLA gives the program this name
    return tf.function(run, autograph=False, jit_compile=True)


def _kind(argument: Array | bool | None) -> Hashable:
    """Return what a program depends on; for a variable or a tensor, this is its shape and dtype."""
    if argument is None or isinstance(argument, bool):
        return argument
    return argument.shape, argument.dtype


def _take_step(
    options: Options,
    variables: Sequence[Slots],
    gradients: Gradients,
    decays: Sequence[bool],
    vector: Array,
    clip_scale: Scalar | None,
    finite: Flag | None,
) -> None:
    scalars = Scalars(*tf.unstack(vector))
    for each, gradient, decay in zip(variables, gradients, decays, strict=True):
        slots = _read(each)
        mean = _clipped_mean(options, gradient, slots, scalars, clip_scale)
        new = step.next_slots(slots, mean, decay, scalars, options, finite)
        storage.map_arrays(_assign, each, new)


def _update_moments(
    options: Options,
    variables: Sequence[Slots],
    gradients: Gradients,
    vector: Array,
    clip_scale: Scalar | None,
    finite: Flag | None,
) -> None:
    scalars = Scalars(*tf.unstack(vector))
    for each, slots, gradient in _with_gradients(variables, gradients):
        mean = _clipped_mean(options, gradient, slots, scalars, clip_scale)
        new = step.next_moments(slots, mean, scalars, options, finite)
        storage.map_arrays(_assign, storage.moments_of(each), storage.moments_of(new))


def _update_weights(
    options: Options,
    variables: Sequence[Slots],
    moves: Sequence[bool],
    decays: Sequence[bool],
    vector: Array,
    finite: Flag | None,
) -> None:
    scalars = Scalars(*tf.unstack(vector))
    for each, move, decay in zip(variables, moves, decays, strict=True):
        new = step.next_weights(_read(each), move, decay, scalars, options, finite)
        rest = storage.without_moments
        storage.map_arrays(_assign, rest(each), rest(new))


def _clipped_mean(
    options: Options,
    gradient: Array | None,
    slots: Slots,
    scalars: Scalars,
    clip_scale: Scalar | None,
) -> Array | None:
    if gradient is None:
        return None
    mean = step.mean_gradient(gradient, slots, scalars, options)
    return step.clip(mean, scalars, options, clip_scale)


def _update_accumulators(
    options: Options,
    variables: Sequence[Slots],
    gradients: Gradients,
    vector: Array,
    finite: Flag | None,
) -> None:
    scalars = Scalars(*tf.unstack(vector))
    for each, slots, gradient in _with_gradients(variables, gradients):
        new = step.next_accumulator(slots, gradient, scalars, options, finite)
        _assign(each.accumulator, new)


def _sum_squares(
    options: Options, variables: Sequence[Slots], gradients: Gradients, vector: Array
) -> Scalar:
    scalars = Scalars(*tf.unstack(vector))
    means = [
        step.mean_gradient(gradient, slots, scalars, options)
        for _, slots, gradient in _with_gradients(variables, gradients)
    ]
    return sum(map(sparse.square_sum, means), tf.zeros((), vector.dtype))


def _with_gradients(
    variables: Sequence[Slots], gradients: Gradients
) -> Iterator[tuple[Slots, Slots, Array]]:
    """Generate the slots of each variable that has a gradient, their values, and the gradient."""
    for each, gradient in zip(variables, gradients, strict=True):
        if gradient is not None:
            yield each, _read(each), gradient


def _all_finite(_: Options, gradients: Sequence[Array]) -> Flag:
    return step.all_finite(gradients)


def _compute_dtype(tracked: TrackedVariable) -> str:
    return adam.compute_dtype(tracked.slots.variable.dtype.name)


def _read(slots: Slots) -> Slots:
    return storage.map_arrays(lambda variable: variable.read_value(), slots)


def _assign(variable: tf.Variable, value: Array) -> None:
    variable.assign(value)
