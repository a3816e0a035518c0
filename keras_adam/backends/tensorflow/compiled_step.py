"""A step over the variables of one replica with fixed options."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from keras_adam.backends.interface import SharedPatterns, TrackedVariable, missing
from keras_adam.backends.tensorflow import lazy_rows, plain_adam, routes
from keras_adam.backends.tensorflow.group import Group
from keras_adam.backends.tensorflow.launcher import Launcher
from keras_adam.backends.tensorflow.programs import Programs
from keras_adam.math import adam, sparse, step
from keras_adam.math.adam import Numbers, Scalars
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows


class Work(NamedTuple):
    """The gradients of one step, as the routes take them."""

    dense: Sequence[Any]
    """A tensor for each variable, or `None`."""
    rows: Mapping[int, Rows]
    """The positions of lazy sparse gradients, and those."""


class CompiledStep:
    """Decides the route of each variable once, then takes steps of any gradients and numbers."""

    def __init__(
        self,
        entries: Sequence[TrackedVariable],
        options: Options,
        plain_is_exact: bool,
        assign: Callable[[Any, Any], None],
    ) -> None:
        """Prepare for `entries`; `plain_is_exact` says it of `plain_adam` with these betas."""
        entries = [e._replace(decays=e.decays and options.weight_decay) for e in entries]
        self._entries = entries
        self._options = options
        self._assign = assign
        self._dtypes = [adam.compute_dtype(e.slots.variable.dtype.name) for e in entries]
        optimized = [i for i, e in enumerate(entries) if e.slots.momentum is not None]
        self._plain: Sequence[int] = []
        if plain_is_exact:
            self._plain = routes.choose_plain(entries, optimized, options)
        self._for_groups = [i for i in optimized if i not in set(self._plain)]
        self._launched = SharedPatterns()
        self._grouped = SharedPatterns()
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
            and self._launched.may_share(missing(gradients), is_traced=False)
        ):
            return self._launch(*arguments)
        return self._run(*arguments)

    def _run(
        self, gradients: Sequence[Any], packed: Any, learning_rate: Any, iterations: Any
    ) -> Any:
        gradients = [self._known(i, gradient) for i, gradient in enumerate(gradients)]
        work = Work(
            dense=[None if isinstance(g, Rows) else g for g in gradients],
            rows={i: g for i, g in enumerate(gradients) if isinstance(g, Rows)},
        )
        groups = self._groups_of(work.dense)
        numbers = Numbers(tf.cast(learning_rate, tf.float64), *tf.unstack(packed))
        finite = self._finite(work, groups) if self._options.skip_nonfinite else None
        if not self._options.accumulation:
            self._update(work, groups, numbers, iterations, finite)
            return finite
        steps = tf.cast(numbers.accumulation_steps, iterations.dtype)
        tf.cond(
            tf.equal((iterations + 1) % steps, 0),
            lambda: self._update(work, groups, numbers, iterations // steps, finite),
            lambda: self._accumulate(work, groups, numbers, finite),
        )
        return finite

    def _finite(self, work: Work, groups: Sequence[Group]) -> Any:
        flags = [group.all_finite(work.dense) for group in groups if group.has_any(work.dense)]
        flags += [step.all_finite([rows]) for rows in work.rows.values()]
        return tf.reduce_all(tf.stack(flags))

    def _update(
        self, work: Work, groups: Sequence[Group], numbers: Numbers, updates: Any, finite: Any
    ) -> None:
        """Take the step that follows `updates` earlier ones."""
        updates = tf.cast(updates, tf.float64)
        scalars = self._in_all_dtypes(adam.scalars(numbers, updates))
        clip_scale = None
        if self._options.clip == "global_clipnorm":
            square_sum = self._square_sum(work, groups, scalars)
            clip_scale = step.global_clip_scale(square_sum, numbers.clip_bound)
        plain = [
            (self._entries[i], work.dense[i]) for i in self._plain if work.dense[i] is not None
        ]
        plain_adam.update(plain, numbers, updates)
        for group in groups:
            group.update(work.dense, scalars, clip_scale, finite)
        for i, rows in work.rows.items():
            lazy_rows.update(
                self._entries[i],
                rows,
                Scalars(*tf.unstack(scalars[self._dtypes[i]])),
                self._options,
                clip_scale,
                finite,
                self._assign,
            )

    def _accumulate(
        self, work: Work, groups: Sequence[Group], numbers: Numbers, finite: Any
    ) -> None:
        scalars = self._in_all_dtypes(adam.scalars(numbers, tf.zeros((), tf.float64)))
        for group in groups:
            group.accumulate(work.dense, scalars, finite)

    def _square_sum(self, work: Work, groups: Sequence[Group], scalars: dict[str, Any]) -> Any:
        """Return the square sum of all mean gradients, a float64 scalar."""
        square_sums = [group.square_sum(work.dense, scalars) for group in groups]
        for i, rows in work.rows.items():
            own = Scalars(*tf.unstack(scalars[self._dtypes[i]]))
            mean = step.mean_gradient(rows, self._entries[i].slots, own, self._options)
            square_sums.append(sparse.square_sum(mean))
        return tf.add_n([tf.cast(square_sum, tf.float64) for square_sum in square_sums])

    def _in_all_dtypes(self, scalars: Scalars) -> dict[str, Any]:
        """Return the scalars as a vector of each compute dtype, which programs take."""
        vector = tf.stack(scalars)
        return {dtype: tf.cast(vector, dtype) for dtype in set(self._dtypes)}

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
        if not self._grouped.may_share(pattern, is_traced=is_traced):
            return [self._alone[i] for i in positions]
        if pattern not in self._groups:
            self._groups[pattern] = [
                Group(self._entries, members, self._programs)
                for members in routes.split(self._entries, positions)
            ]
        return self._groups[pattern]
