"""The update on JAX: one compiled function that computes new values from old ones."""

import contextlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import sparse as jax_sparse
from keras import ops

from keras_adam.annotations import Array, Flag, Gradient, Scalar, Slot, Variable
from keras_adam.backends import interface
from keras_adam.backends.interface import Assign, SharedPatterns, TrackedVariable
from keras_adam.math import adam, sparse, step, storage
from keras_adam.math.adam import Numbers, Scalars, Slots
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows

# The compiled function takes the trainable variables as one argument and their state as another.
# The state of a variable is its slots without the variable itself.
State = list[tuple[Slot, ...]]
# The square sum of all gradients, and whether they are finite.
Totals = tuple[Scalar, Flag]
# The numbers of a step, and the number of earlier calls.
Common = tuple[Numbers, Array]


class Updater(interface.Updater):
    """Applies steps to the variables that an optimizer was built with.

    A call reads the variables, computes in jitted functions and assigns the results. This works in
    a call from Python, in which Keras's variables hold arrays. It also works in the stateless scope
    of Keras's `fit` or of `stateless_apply`, in which the variables hold tracers.
    """

    # JAX traces functions of values, so variables are set outside of a trace.
    outside_of_graphs = staticmethod(contextlib.nullcontext)
    # No type is needed here, because JAX's sparse gradients have the shape of their variable, too.
    sparse_gradient = ()

    def __init__(self, entries: Sequence[TrackedVariable], assign: Assign) -> None:
        """Prepare for `entries`, whose variables `assign` sets; trace and compile nothing yet."""
        self.entries = list(entries)
        self._assign = assign
        self._patterns = SharedPatterns()
        # No argument is donated, because users may hold arrays of the state, or have one array in
        # two variables. Keras itself does so at the end of a fit with averages.
        self._take_step = jax.jit(_take_step, static_argnames=("options", "decays"))
        self._total = jax.jit(_total, static_argnames="options")

    def __call__(
        self,
        gradients: Sequence[Gradient],
        numbers: Numbers,
        iterations: Variable,
        options: Options,
    ) -> Flag | None:
        """Take a step, see `interface.Updater`."""
        gradients = [_of_rows(g) if isinstance(g, jax_sparse.BCOO) else g for g in gradients]
        moves_all = options.accumulation or any(e.slots.average is not None for e in self.entries)
        moving = [
            i
            for i, entry in enumerate(self.entries)
            if entry.slots.momentum is not None and (moves_all or gradients[i] is not None)
        ]
        numbers = Numbers(
            *(n if isinstance(n, float) else ops.convert_to_tensor(n) for n in numbers)
        )
        common = numbers, ops.convert_to_tensor(iterations)
        parts = self._split(moving, gradients, common)
        if len(parts) == 1:
            return self._step(parts[0], gradients, None, common, options)
        totals = self._totals(parts, gradients, common, options)
        for part in parts:
            finite = self._step(part, gradients, totals, common, options)
        return finite

    def _split(
        self, moving: Sequence[int], gradients: Sequence[Gradient], common: Common
    ) -> list[list[int]]:
        """Split the variables that change by their devices; each part has a program.

        Each sparse gradient has its own part. Otherwise there would be a program for every
        combination of their numbers of rows. In a trace there is only one part.
        """
        # In a traced function, captured gradients are arrays; the variables are tracers.
        leaves = jax.tree.leaves((gradients, self._values(moving), common))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return [list(moving)]
        sparse_ones = [i for i in moving if isinstance(gradients[i], jax_sparse.BCOO)]
        rest = [i for i in moving if i not in sparse_ones]
        pattern = tuple(g is None or i in sparse_ones for i, g in enumerate(gradients))
        if not self._patterns.may_share(pattern, is_traced=False):
            return [[i] for i in moving]
        by_devices: dict[frozenset[jax.Device], list[int]] = {}
        for i in rest:
            devices = frozenset(self.entries[i].slots.variable.value.devices())
            by_devices.setdefault(devices, []).append(i)
        return [*by_devices.values(), *([i] for i in sparse_ones)]

    def _totals(
        self,
        parts: Sequence[Sequence[int]],
        gradients: Sequence[Gradient],
        common: Common,
        options: Options,
    ) -> Totals | None:
        """Return the result of `_total` for all parts together, or `None` if it is not needed."""
        if not _needs_total(options):
            return None
        total = self._total if options.jit_compile else _total
        square_sums, finite = zip(
            *(
                total(*self._values(part), [gradients[i] for i in part], *common, options=options)
                for part in parts
                if any(gradients[i] is not None for i in part)
            ),
            strict=True,
        )
        # The host adds the sums up, because the parts may be on several devices.
        square_sums, finite = jax.device_get((square_sums, finite))
        return sum(square_sums), np.all(finite)

    def _step(
        self,
        positions: Sequence[int],
        gradients: Sequence[Gradient],
        totals: Totals | None,
        common: Common,
        options: Options,
    ) -> Flag | None:
        """Take the step of the variables at `positions`; return the flag of `__call__`."""
        run = self._take_step if options.jit_compile else _take_step
        decays = tuple(self.entries[i].decays and options.weight_decay for i in positions)
        weights, rests = self._values(positions)
        own = [gradients[i] for i in positions]
        weights, rests, finite = run(
            weights, rests, own, *common, totals, options=options, decays=decays
        )
        for i, weight, rest in zip(positions, weights, rests, strict=True):
            storage.map_arrays(self._assign, self.entries[i].slots, Slots(weight, *rest))
        return finite

    def _values(self, positions: Sequence[int]) -> tuple[list[Array], State]:
        slots = [storage.map_arrays(lambda v: v.value, self.entries[i].slots) for i in positions]
        return [each.variable for each in slots], [tuple(each[1:]) for each in slots]


def _of_rows(gradient: jax_sparse.BCOO) -> Gradient:
    """Pad a sparse gradient of whole rows; make one of single elements dense."""
    return _pad(gradient) if gradient.n_sparse == 1 else gradient.todense()


def _pad(gradient: jax_sparse.BCOO) -> jax_sparse.BCOO:
    """Pad a sparse gradient to a power of two of rows, so that few programs serve all counts.

    The added rows have numbers after the last row of the variable, and such rows are left out. In a
    trace the number of rows is static, so the gradient is not padded.
    """
    if isinstance(gradient.data, jax.core.Tracer):
        return gradient
    count = gradient.data.shape[0]
    more = (1 << max(count - 1, 0).bit_length()) - count
    # NumPy, because JAX would compile the padding for each count.
    data, indices = np.asarray(gradient.data), np.asarray(gradient.indices)
    data = np.concatenate([data, np.zeros((more, *data.shape[1:]), data.dtype)])
    # The number of rows may be too large for the dtype of the indices.
    added = np.full((more, indices.shape[1]), gradient.shape[0], np.int32)
    indices = np.concatenate([indices, added])
    return jax_sparse.BCOO((jnp.asarray(data), jnp.asarray(indices)), shape=gradient.shape)


def _total(
    weights: list[Array],
    state: State,
    gradients: list[Gradient],
    numbers: Numbers,
    iterations: Array,
    *,
    options: Options,
) -> Totals:
    """Return the square sum of the mean gradients, and whether all gradients are finite."""
    slots = _slots(weights, state)
    gradients = _known(gradients, slots, options)
    return _total_of(slots, gradients, _scalars(slots, numbers, iterations, options), options)


def _total_of(
    slots: list[Slots], gradients: list[Gradient], scalars: dict[str, Scalars], options: Options
) -> Totals:
    """Return the result of `_total` for gradients that are converted for the pure functions."""
    means = _means(slots, gradients, scalars, options)
    square_sums = [sparse.square_sum(mean) for mean in means if mean is not None]
    square_sum = jnp.sum(jnp.stack([s.astype(_widest(scalars)) for s in square_sums]))
    return square_sum, step.all_finite([g for g in gradients if g is not None])


def _take_step(
    weights: list[Array],
    state: State,
    gradients: list[Gradient],
    numbers: Numbers,
    iterations: Array,
    totals: Totals | None,
    *,
    options: Options,
    decays: tuple[bool, ...],
) -> tuple[list[Array], State, Flag | None]:
    """Return the weights and the state after a step, in the order of the arguments.

    `totals` covers the gradients of all parts; `None` if there is one part.
    """
    if options.state_dtype in ("bfloat16", "int8"):
        gradients = _in_row_major_order(gradients)
    slots = _slots(weights, state)
    gradients = _known(gradients, slots, options)
    scalars = _scalars(slots, numbers, iterations, options)
    if totals is None and _needs_total(options) and any(g is not None for g in gradients):
        totals = _total_of(slots, gradients, scalars, options)
    square_sum: Scalar
    finite: Flag
    square_sum, finite = totals or (None, None)
    if not options.skip_nonfinite:
        finite = None

    def update() -> list[Slots]:
        clip_scale = None
        if options.clip == "global_clipnorm":
            bound = scalars[_widest(scalars)].clip_bound
            clip_scale = step.global_clip_scale(square_sum, bound)
        means = _means(slots, gradients, scalars, options)
        new = [
            step.take_step(each, mean, decay, _of(each, scalars), options, clip_scale, finite)
            for each, mean, decay in zip(slots, means, decays, strict=True)
        ]
        return [_whole(*each) for each in zip(slots, new, means, strict=True)]

    def accumulate() -> list[Slots]:
        return [
            each
            if g is None
            else each._replace(
                accumulator=step.next_accumulator(each, g, _of(each, scalars), options, finite)
            )
            for each, g in zip(slots, gradients, strict=True)
        ]

    if options.accumulation:
        steps = jnp.asarray(numbers.accumulation_steps, iterations.dtype)
        is_due = (iterations + 1) % steps == 0
        if isinstance(is_due, jax.core.Tracer):
            new = jax.lax.cond(is_due, update, accumulate)
        else:  # outside of a trace, `cond` would first compile both branches
            new = update() if is_due else accumulate()
    else:
        new = update()
    return [each.variable for each in new], [tuple(each[1:]) for each in new], finite


def _in_row_major_order(gradients: list[Gradient]) -> list[Gradient]:
    """Return the gradients in row-major order, so that the update on a GPU has this layout.

    The gradient of a convolution has the layout that is best for the convolution. XLA would use
    this layout in the update, too. To write states in bfloat16 or int8, XLA would then need two
    kernels that transpose for each variable. With row-major gradients XLA transposes only the
    gradient.
    """

    def settle(*flat: Array) -> Sequence[Array]:
        return jax.lax.optimization_barrier(flat)

    def leave(*flat: Array) -> Sequence[Array]:
        return flat

    dense = [i for i, g in enumerate(gradients) if g is not None and not _is_sparse(g)]
    if not dense:
        return gradients
    flat = [gradients[i].reshape(-1) for i in dense]
    flat = jax.lax.platform_dependent(*flat, cuda=settle, rocm=settle, default=leave)
    result = list(gradients)
    for i, values in zip(dense, flat, strict=True):
        result[i] = values.reshape(gradients[i].shape)
    return result


def _is_sparse(gradient: Gradient) -> bool:
    return isinstance(gradient, jax_sparse.BCOO)


def _needs_total(options: Options) -> bool:
    return options.clip == "global_clipnorm" or options.skip_nonfinite


def _slots(weights: list[Array], state: State) -> list[Slots]:
    return [Slots(weight, *rest) for weight, rest in zip(weights, state, strict=True)]


def _known(gradients: list[Gradient], slots: list[Slots], options: Options) -> list[Gradient]:
    """Convert the gradients for the pure functions: to `Rows` if lazy, else to dense ones."""
    known = []
    for gradient, each in zip(gradients, slots, strict=True):
        if isinstance(gradient, jax_sparse.BCOO):
            rows = Rows(gradient.indices[:, 0], gradient.data)
            dtype, row_count = adam.compute_dtype(str(each.variable.dtype)), each.variable.shape[0]
            gradient = sparse.densify_or_sum(rows, row_count, options.lazy, dtype)
        known.append(gradient)
    return known


def _scalars(
    slots: list[Slots], numbers: Numbers, iterations: Array, options: Options
) -> dict[str, Scalars]:
    """Return the scalars of the step for each compute dtype."""
    numbers = Numbers(*(jnp.asarray(number, float) for number in numbers))
    if options.accumulation:
        iterations = iterations // numbers.accumulation_steps.astype(iterations.dtype)
    exact = adam.scalars(numbers, iterations.astype(numbers.learning_rate.dtype))
    dtypes = {adam.compute_dtype(str(each.variable.dtype)) for each in slots}
    return {dtype: Scalars(*(scalar.astype(dtype) for scalar in exact)) for dtype in dtypes}


def _widest(scalars: dict[str, Scalars]) -> str:
    return "float64" if "float64" in scalars else "float32"


def _of(slots: Slots, scalars: dict[str, Scalars]) -> Scalars:
    return scalars[adam.compute_dtype(str(slots.variable.dtype))]


def _means(
    slots: list[Slots], gradients: list[Gradient], scalars: dict[str, Scalars], options: Options
) -> list[Gradient]:
    return [
        None if g is None else step.mean_gradient(g, each, _of(each, scalars), options)
        for each, g in zip(slots, gradients, strict=True)
    ]


def _whole(slots: Slots, new: Slots, gradient: Array | Rows | None) -> Slots:
    """Return all rows of new slots, given those that a gradient names."""
    if not isinstance(gradient, Rows):
        return new
    indices = gradient.indices
    return storage.map_arrays(lambda v, row: v.at[indices].set(row), slots, new)
