"""A step over the variables of one replica with fixed options."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_adam import rule, sparse, step
from keras_adam.compiled import Entry, Patterns, missing
from keras_adam.compiled.tensorflow import kernel, lazy_rows, routes
from keras_adam.compiled.tensorflow.group import Group
from keras_adam.compiled.tensorflow.launcher import Launcher
from keras_adam.compiled.tensorflow.programs import Programs
from keras_adam.options import Options
from keras_adam.rule import Numbers, Scalars
from keras_adam.sparse import Rows


class CompiledStep:
    """Decides the route of each variable once, then takes steps of any gradients and numbers."""

    def __init__(
        self,
        entries: Sequence[Entry],
        options: Options,
        kernel_is_exact: bool,
        assign: Callable[[Any, Any], None],
    ) -> None:
        """Prepare for `entries`; `kernel_is_exact` says it of the kernel with these betas."""
        self._entries = entries
        self._options = options
        self._assign = assign
        self._dtypes = [rule.compute_dtype(e.slots.variable.dtype.name) for e in entries]
        optimized = [i for i, e in enumerate(entries) if e.slots.momentum is not None]
        self._for_kernel = frozenset(
            routes.choose_kernel(entries, optimized, options) if kernel_is_exact else ()
        )
        self._for_groups = [i for i in optimized if i not in self._for_kernel]
        self._launched = Patterns()
        self._grouped = Patterns()
        self._programs = Programs(options, assign)
        # At most as many as there are patterns with programs of their own.
        self._groups: dict[tuple[bool, ...], list[Group]] = {}
        # For all other patterns. Variables of one shape share a program.
        self._alone = {i: Group(entries, [i], self._programs) for i in self._for_groups}
        self._moves_all = options.accumulation or any(e.slots.average is not None for e in entries)
        self._launch = Launcher(self._run, entries)

    def take(
        self, gradients: Sequence[Any], packed: Any, learning_rate: Any, iterations: Any
    ) -> Any:
        """Take the step; return whether it was finite, or `None` where nobody asks.

        `gradients` has a tensor, `IndexedSlices` or `None` for each entry; `packed` holds all
        numbers but the learning rate, float64.
        """
        arguments = gradients, packed, learning_rate, iterations
        if (
            self._options.jit_compile
            and tf.executing_eagerly()
            and self._launched.has_own_programs(missing(gradients), is_traced=False)
        ):
            return self._launch(*arguments)
        return self._run(*arguments)

    def _run(
        self, gradients: Sequence[Any], packed: Any, learning_rate: Any, iterations: Any
    ) -> Any:
        options = self._options
        gradients = [self._known(i, gradient) for i, gradient in enumerate(gradients)]
        lazy = [i for i, gradient in enumerate(gradients) if isinstance(gradient, Rows)]
        dense = [None if i in lazy else gradient for i, gradient in enumerate(gradients)]
        groups = self._groups_of(dense)

        numbers = Numbers(tf.cast(learning_rate, tf.float64), *tf.unstack(packed))
        steps = tf.cast(numbers.accumulation_steps, iterations.dtype)
        calls = iterations
        if options.accumulation:
            iterations //= steps
        updates = tf.cast(iterations, tf.float64)
        scalars = tf.stack(rule.scalars(numbers, updates))
        by_dtype = {dtype: tf.cast(scalars, dtype) for dtype in set(self._dtypes)}

        finite = None
        if options.skip_nonfinite:
            flags = [group.all_finite(dense) for group in groups if group.has_any(dense)]
            flags += [step.all_finite([gradients[i]]) for i in lazy]
            finite = tf.reduce_all(tf.stack(flags))

        def update() -> None:
            clip_scale = None
            if options.clip == "global_clipnorm":
                sums = [group.square_sum(dense, by_dtype) for group in groups]
                sums += [self._square_sum(i, gradients[i], by_dtype) for i in lazy]
                total = tf.add_n([tf.cast(square_sum, tf.float64) for square_sum in sums])
                clip_scale = step.global_clip_scale(total, numbers.clip_bound)
            kernel.update(
                [
                    (self._entries[i].slots, gradient)
                    for i, gradient in enumerate(dense)
                    if gradient is not None and i in self._for_kernel
                ],
                numbers,
                updates,
            )
            for group in groups:
                group.update(dense, by_dtype, clip_scale, finite)
            for i in lazy:
                lazy_rows.update(
                    self._entries[i],
                    gradients[i],
                    Scalars(*tf.unstack(by_dtype[self._dtypes[i]])),
                    options,
                    clip_scale,
                    finite,
                    self._assign,
                )

        def accumulate() -> None:
            for group in groups:
                group.accumulate(dense, by_dtype, finite)

        if options.accumulation:
            tf.cond(tf.equal((calls + 1) % steps, 0), update, accumulate)
        else:
            update()
        return finite

    def _known(self, i: int, gradient: Any) -> Any:
        """Return a gradient as the pure functions know it: dense, or `Rows` if lazy."""
        variable = self._entries[i].slots.variable
        if gradient is None:
            return None
        if isinstance(gradient, tf.Tensor):
            # What a graph does not know of a shape would be another program.
            is_known = gradient.shape.is_fully_defined()
            return gradient if is_known else tf.ensure_shape(gradient, variable.shape)
        rows = Rows(gradient.indices, gradient.values)
        return sparse.densify_or_sum(rows, variable.shape[0], self._options.lazy, self._dtypes[i])

    def _groups_of(self, dense: Sequence[Any]) -> Sequence[Group]:
        """Return the groups that have something to do: averages move without a gradient, too."""
        positions = self._for_groups
        if not self._moves_all:
            positions = [i for i in positions if dense[i] is not None]
        pattern = missing(dense)
        is_traced = not tf.executing_eagerly()
        if not self._grouped.has_own_programs(pattern, is_traced=is_traced):
            return [self._alone[i] for i in positions]
        if pattern not in self._groups:
            self._groups[pattern] = [
                Group(self._entries, members, self._programs)
                for members in routes.split(self._entries, positions)
            ]
        return self._groups[pattern]

    def _square_sum(self, i: int, rows: Rows, by_dtype: dict[str, Any]) -> Any:
        scalars = Scalars(*tf.unstack(by_dtype[self._dtypes[i]]))
        slots = self._entries[i].slots
        return sparse.square_sum(step.mean_gradient(rows, slots, scalars, self._options))
