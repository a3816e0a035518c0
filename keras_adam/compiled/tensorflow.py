"""The update on TensorFlow: a fused kernel or a few XLA programs, in place."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_adam import rule, sparse, step
from keras_adam.compiled import Entry, fused_kernel
from keras_adam.rule import Hyperparameters, Slots
from keras_adam.sparse import Rows
from keras_adam.step import Totals

# One program over all variables starts only when the last gradient is there, and
# its launch cost grows faster than linearly with its arguments; one program a
# variable costs a launch each. Neighbouring variables share one up to these bounds.
MAX_GROUP_VARIABLES = 32
MAX_GROUP_BYTES = 4 << 20


class Updater:
    """Applies steps to the variables that an optimizer was built with.

    A step over the same variables with the same constants runs the same compiled
    programs; the learning rate, tensors among the hyper-parameters and the step
    count are their inputs.
    """

    # Where a variable is set once although a graph is being traced.
    outside_of_graphs = staticmethod(tf.init_scope)
    # A gradient of some rows, which has its values in `values`.
    sparse_gradient = tf.IndexedSlices

    def __init__(
        self,
        entries: Sequence[Entry],
        assign: Callable[[Any, Any], None],
        *,
        jit_compile: bool,
        lazy: bool,
        skip_nonfinite: bool,
    ) -> None:
        """Prepare for `entries`, whose variables `assign` sets; trace and compile nothing yet."""
        self.entries = list(entries)
        self._make_step = functools.partial(
            _Step,
            assign=assign,
            jit_compile=jit_compile,
            lazy=lazy,
            skip_nonfinite=skip_nonfinite,
        )
        self._steps: dict[Hashable, _Step] = {}

    def __call__(
        self,
        indices: Sequence[int],
        gradients: Sequence[Any],
        hyper: Hyperparameters,
        inputs: dict[str, Any],
        iterations: Any,
    ) -> Any:
        """Update the variables of the entries `indices`, one gradient or `None` each.

        `inputs` are the hyper-parameters that are tensors; `iterations` is the
        number of calls that came before. Under a distribution strategy, gradients
        are summed over the replicas first, and every replica updates its own copy.

        Returns a boolean scalar tensor: whether the gradients were finite, or
        `None` where that was not asked for.
        """
        inputs = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
        iterations = tf.convert_to_tensor(iterations)
        gradients = [_without_shape(g) for g in _sum_over_replicas(list(gradients))]
        finite = None
        for replica in _replicas():
            key = (tuple(indices), hyper, replica)
            if key not in self._steps:
                entries = [_local(self.entries[i], replica) for i in indices]
                self._steps[key] = self._make_step(entries, hyper)
            with _device_of(self.entries[indices[0]], replica):
                finite = self._steps[key].run(gradients, inputs, iterations)
        return finite


class _Step:
    """A step over fixed variables with fixed constants."""

    def __init__(
        self,
        entries: list[Entry],
        constants: Hyperparameters,
        *,
        assign: Callable[[Any, Any], None],
        jit_compile: bool,
        lazy: bool,
        skip_nonfinite: bool,
    ) -> None:
        self._entries = entries
        self._constants = constants
        self._assign = assign
        self._lazy = lazy
        self._skip_nonfinite = skip_nonfinite
        self._jit_compile = jit_compile
        self._programs: dict[Hashable, Any] = {}
        # For calls from Python: one graph launches all of it, side by side.
        self._graph = tf.function(self._run, autograph=False)
        self._concrete: dict[Hashable, Any] = {}

    def run(self, gradients: list[Any], inputs: dict[str, Any], iterations: Any) -> Any:
        """Take the step; return whether it was finite, or `None` where nobody asks."""
        if not (self._jit_compile and tf.executing_eagerly()):
            return self._run(gradients, inputs, iterations)
        if not all(isinstance(g, tf.Tensor) for g in gradients):
            return self._graph(gradients, inputs, iterations)
        # Of a call from Python, `tf.function` would spend a third on looking at each
        # argument; here shapes are known, and dtypes tell the graphs apart.
        arguments = tf.nest.flatten((gradients, inputs, iterations))
        key = (tuple(inputs), *(a.dtype for a in arguments))
        if key not in self._concrete:
            self._concrete[key] = self._graph.get_concrete_function(gradients, inputs, iterations)
        concrete = self._concrete[key]
        outputs = tf.raw_ops.StatefulPartitionedCall(
            args=[*arguments, *concrete.captured_inputs],
            Tout=[output.dtype for output in concrete.outputs],
            f=concrete,
        )
        return outputs[0] if outputs else None

    def _run(self, gradients: list[Any], inputs: dict[str, Any], iterations: Any) -> Any:
        totals = Totals()
        if self._skip_nonfinite or self._constants.global_clipnorm:
            totals = self._compiled(self._totals, range(len(gradients)))(gradients, inputs)
        for_kernel: list[int] = []
        for_xla: list[int] = []
        for i, gradient in enumerate(gradients):
            (for_kernel if self._kernel_fits(i, gradient) else for_xla).append(i)
        groups = _groups(self._entries, for_xla)

        def update() -> None:
            if for_kernel:
                fused_kernel.update(
                    [self._entries[i] for i in for_kernel],
                    [gradients[i] for i in for_kernel],
                    dataclasses.replace(self._constants, **inputs),
                    iterations,
                )
            for group in groups:
                program = self._compiled(self._update, group)
                program([gradients[i] for i in group], totals, inputs, iterations)

        def accumulate() -> None:
            for group in groups:
                program = self._compiled(self._accumulate, group)
                program([gradients[i] for i in group], totals, inputs)

        steps = self._constants.gradient_accumulation_steps
        if steps:
            tf.cond(tf.equal((iterations + 1) % steps, 0), update, accumulate)
        else:
            update()
        return totals.finite

    def _compiled(self, method: Callable[..., Any], group: Sequence[int]) -> Callable[..., Any]:
        """Return the method, for this group, as a program that graphs share."""
        if not self._jit_compile:
            return functools.partial(method, group)
        key = (method.__name__, tuple(group))
        if key not in self._programs:

            def function(*tensors: Any) -> Any:
                return method(group, *tensors)

            function.__name__ = method.__name__  # under which profiles and dumps show it
            self._programs[key] = tf.function(function, autograph=False, jit_compile=True)
        return self._programs[key]

    def _kernel_fits(self, i: int, gradient: Any) -> bool:
        return (
            self._jit_compile
            and not self._skip_nonfinite
            and fused_kernel.fits(self._entries[i], gradient, self._constants)
        )

    def _totals(self, group: Sequence[int], gradients: list[Any], inputs: dict[str, Any]) -> Totals:
        entries = [self._entries[i] for i in group]
        hyper = dataclasses.replace(self._constants, **inputs)
        unscaled = [
            step.unscale(self._known(gradient, entry), entry.slots, hyper)
            for entry, gradient in zip(entries, gradients, strict=True)
            if gradient is not None
        ]
        return step.totals(unscaled, hyper, self._skip_nonfinite)

    def _update(
        self,
        group: Sequence[int],
        gradients: list[Any],
        totals: Totals,
        inputs: dict[str, Any],
        iterations: Any,
    ) -> None:
        entries = [self._entries[i] for i in group]
        hyper = dataclasses.replace(self._constants, **inputs)
        updates = iterations // (hyper.gradient_accumulation_steps or 1)
        dtypes = {rule.compute_dtype(keras.ops.dtype(e.slots.variable)) for e in entries}
        scalars = {dtype: rule.scalars(hyper, updates, dtype) for dtype in dtypes}
        for entry, gradient in zip(entries, gradients, strict=True):
            rows = None
            if gradient is not None:
                gradient = step.unscale(self._known(gradient, entry), entry.slots, hyper)
                gradient = step.clip(gradient, hyper, totals)
            if isinstance(gradient, Rows):
                rows, gradient = gradient
            slots = _read(entry.slots, rows)
            new = step.update(slots, gradient, entry.decays, totals, scalars, hyper)
            for variable, value in zip(entry.slots, new, strict=True):
                if variable is not None:
                    value = value if rows is None else tf.IndexedSlices(value, rows)
                    self._assign(variable, value)

    def _accumulate(
        self, group: Sequence[int], gradients: list[Any], totals: Totals, inputs: dict[str, Any]
    ) -> None:
        hyper = dataclasses.replace(self._constants, **inputs)
        for i, gradient in zip(group, gradients, strict=True):
            entry = self._entries[i]
            if gradient is not None:
                gradient = self._known(gradient, entry)
                new = step.accumulate(entry.slots, gradient, hyper, totals)
                self._assign(entry.slots.accumulator, new)

    def _known(self, gradient: Any, entry: Entry) -> Any:
        """Return the gradient as the pure functions know it: dense, or `Rows` if lazy."""
        if not isinstance(gradient, tf.IndexedSlices):
            return gradient
        rows = Rows(gradient.indices, gradient.values)
        return sparse.known(rows, entry.slots.variable.shape[0], self._lazy)


def _groups(entries: Sequence[Entry], indices: Sequence[int]) -> list[list[int]]:
    """Split the positions `indices` into runs of neighbours within the two bounds above."""
    groups: list[list[int]] = []
    count = size = 0
    for i in indices:
        value = entries[i].slots.variable
        value_bytes = value.shape.num_elements() * value.dtype.size
        if not groups or count == MAX_GROUP_VARIABLES or size + value_bytes > MAX_GROUP_BYTES:
            groups.append([])
            count = size = 0
        groups[-1].append(i)
        count, size = count + 1, size + value_bytes
    return groups


def _read(slots: Slots, rows: Any = None) -> Slots:
    if rows is None:
        return Slots(*(None if v is None else v.read_value() for v in slots))
    return Slots(*(None if v is None else tf.gather(v, rows) for v in slots))


def _without_shape(gradient: Any) -> Any:
    """Drop a sparse gradient's shape, which is its variable's, and make tensors of the rest."""
    if isinstance(gradient, tf.IndexedSlices):
        values = tf.convert_to_tensor(gradient.values)
        return tf.IndexedSlices(values, tf.convert_to_tensor(gradient.indices))
    return gradient


def _sum_over_replicas(gradients: list[Any]) -> list[Any]:
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return gradients
    present = [g for g in gradients if g is not None]
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if g is None else next(summed) for g in gradients]


def _replicas() -> Sequence[int]:
    """Return the replicas whose copies this call updates: its own, or all outside of one."""
    context = tf.distribute.get_replica_context()
    if context is None:
        return range(tf.distribute.get_strategy().num_replicas_in_sync)
    return [int(tf.get_static_value(context.replica_id_in_sync_group))]


def _on_replica(variable: Any, replica: int) -> Any:
    """Return the `tf.Variable` that holds a variable on the replica."""
    value = variable.value if isinstance(variable, keras.Variable) else variable
    return value.values[replica] if isinstance(value, tf.distribute.DistributedValues) else value


def _local(entry: Entry, replica: int) -> Entry:
    """Return the entry with the variables of one replica."""
    slots = (None if v is None else _on_replica(v, replica) for v in entry.slots)
    return entry._replace(slots=Slots(*slots))


def _device_of(entry: Entry, replica: int) -> Any:
    """Outside of a replica, enter the device of its copies; inside, that is the case."""
    if tf.distribute.get_replica_context() is not None:
        return contextlib.nullcontext()
    return tf.device(_on_replica(entry.slots.variable, replica).device)
