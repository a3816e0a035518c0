"""The update on JAX: one compiled function from the old values to the new ones."""

import contextlib
import dataclasses
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import sparse as jax_sparse

from keras_adam import rule, sparse, step
from keras_adam.compiled import Entry
from keras_adam.rule import Hyperparameters, Slots
from keras_adam.sparse import Rows
from keras_adam.step import Totals


class Updater:
    """Applies steps to the variables that an optimizer was built with.

    A call reads the variables, computes in one jitted function and assigns the
    results: the same eagerly, where Keras's variables hold arrays, and inside the
    stateless scope of Keras's `fit` or of `stateless_apply`, where they hold tracers.
    """

    # JAX traces functions of values; variables are set outside of them anyway.
    outside_of_graphs = staticmethod(contextlib.nullcontext)
    # None: a gradient of some rows has the variable's shape, too.
    sparse_gradient = ()

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
        self._assign = assign
        self._lazy = lazy
        self._skip_nonfinite = skip_nonfinite
        self._run = self._step
        if jit_compile:
            self._run = jax.jit(self._step, static_argnames=("decays", "constants"))

    def __call__(
        self,
        indices: Sequence[int],
        gradients: Sequence[Any],
        hyper: Hyperparameters,
        inputs: dict[str, Any],
        iterations: Any,
    ) -> Any:
        """Update the variables of the entries `indices`, one gradient or `None` each.

        `inputs` are the hyper-parameters that are arrays; `iterations` is the number
        of calls that came before.

        Returns a boolean scalar array: whether the gradients were finite, or `None`
        where that was not asked for.
        """
        entries = [self.entries[i] for i in indices]
        values = [Slots(*(None if v is None else v.value for v in e.slots)) for e in entries]
        inputs = {name: jnp.asarray(value) for name, value in inputs.items()}
        new_values, finite = self._run(
            values,
            list(gradients),
            inputs,
            jnp.asarray(iterations),
            decays=tuple(e.decays for e in entries),
            constants=hyper,
        )
        for entry, slots in zip(entries, new_values, strict=True):
            for variable, value in zip(entry.slots, slots, strict=True):
                if variable is not None:
                    self._assign(variable, value)
        return finite

    def _step(
        self,
        values: list[Slots],
        gradients: list[Any],
        inputs: dict[str, Any],
        iterations: Any,
        *,
        decays: tuple[bool, ...],
        constants: Hyperparameters,
    ) -> tuple[list[Slots], Any]:
        hyper = dataclasses.replace(constants, **inputs)
        gradients = [
            self._known(gradient, slots) for gradient, slots in zip(gradients, values, strict=True)
        ]
        unscaled = [
            None if gradient is None else step.unscale(gradient, slots, hyper)
            for gradient, slots in zip(gradients, values, strict=True)
        ]
        totals = step.totals([g for g in unscaled if g is not None], hyper, self._skip_nonfinite)
        update = functools.partial(_update, values, unscaled, totals, iterations, decays, hyper)
        steps = hyper.gradient_accumulation_steps
        if not steps:
            return update(), totals.finite
        accumulate = functools.partial(_accumulate, values, gradients, totals, hyper)
        return jax.lax.cond((iterations + 1) % steps == 0, update, accumulate), totals.finite

    def _known(self, gradient: Any, slots: Slots) -> Any:
        """Return the gradient as the pure functions know it: dense, or `Rows` if lazy."""
        if not isinstance(gradient, jax_sparse.BCOO):
            return gradient
        rows = Rows(gradient.indices[:, 0], gradient.data)
        return sparse.known(rows, slots.variable.shape[0], self._lazy)


def _update(
    values: list[Slots],
    gradients: list[Any],
    totals: Totals,
    iterations: Any,
    decays: tuple[bool, ...],
    hyper: Hyperparameters,
) -> list[Slots]:
    updates = iterations // (hyper.gradient_accumulation_steps or 1)
    dtypes = {rule.compute_dtype(str(slots.variable.dtype)) for slots in values}
    scalars = {dtype: rule.scalars(hyper, updates, dtype) for dtype in dtypes}
    new_values = []
    for slots, gradient, decay in zip(values, gradients, decays, strict=True):
        if gradient is not None:
            gradient = step.clip(gradient, hyper, totals)
        if isinstance(gradient, Rows):
            indices, gradient = gradient
            rows = jax.tree.map(operator.itemgetter(indices), slots)
            new_rows = step.update(rows, gradient, decay, totals, scalars, hyper)
            new = Slots(
                *(
                    None if value is None else value.at[indices].set(row)
                    for value, row in zip(slots, new_rows, strict=True)
                )
            )
        else:
            new = step.update(slots, gradient, decay, totals, scalars, hyper)
        new_values.append(new)
    return new_values


def _accumulate(
    values: list[Slots], gradients: list[Any], totals: Totals, hyper: Hyperparameters
) -> list[Slots]:
    return [
        slots
        if gradient is None
        else slots._replace(accumulator=step.accumulate(slots, gradient, hyper, totals))
        for slots, gradient in zip(values, gradients, strict=True)
    ]
