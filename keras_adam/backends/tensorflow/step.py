"""A step of the variables of one replica, with fixed options."""

import functools
from collections.abc import Sequence

import tensorflow as tf

from keras_adam.annotations import Array, Flag, Gradient, Scalar
from keras_adam.backends.interface import Assign, SharedPatterns, TrackedVariable
from keras_adam.backends.tensorflow import native, routes
from keras_adam.backends.tensorflow.programs import Packed, Programs
from keras_adam.backends.tensorflow.routes import Dtypes, StepPlan
from keras_adam.math import adam, sparse
from keras_adam.math import step as step_math
from keras_adam.math.adam import Numbers, Scalars
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows


class Step:
    """Makes one plan for each pattern of gradients, and runs it with any gradients and numbers."""

    def __init__(
        self,
        tracked: Sequence[TrackedVariable],
        options: Options,
        betas_fit: bool,
        assign: Assign,
    ) -> None:
        """Prepare for `tracked`, which has `tf.Variable`s; for `betas_fit` see `routes.plan`."""
        self._tracked = [e._replace(decays=e.decays and options.weight_decay) for e in tracked]
        self._options = options
        self._assign = assign
        self._dtypes = [adam.compute_dtype(e.slots.variable.dtype.name) for e in tracked]
        self._programs = Programs(self._tracked, options)
        self._patterns = SharedPatterns()
        self._betas_fit = betas_fit
        self._plan = functools.lru_cache(maxsize=16)(self._make_plan)

    def plan(self, dtypes: tuple[Dtypes, ...]) -> StepPlan:
        """Return what updates which variable in a step with gradients of such dtypes."""
        shares = self._patterns.may_share(dtypes, is_traced=not tf.executing_eagerly())
        return self._plan(dtypes, shares)

    def _make_plan(self, dtypes: tuple[Dtypes, ...], shares_programs: bool) -> StepPlan:
        return routes.plan(
            self._tracked,
            routes.kinds(dtypes, self._options),
            self._options,
            betas_fit=self._betas_fit,
            shares_programs=shares_programs,
        )

    def run(
        self, plan: StepPlan, gradients: Sequence[Gradient], numbers: Numbers, iterations: Array
    ) -> Flag | None:
        """Take the step; return whether the gradients were finite, if `skip_nonfinite` asks for it.

        `gradients` has a tensor, `IndexedSlices` or `None` for each variable; `numbers` are
        Python numbers or scalar tensors.
        """
        options = self._options
        known = [self._known(i, gradient) for i, gradient in enumerate(gradients)]
        finite = self._all_finite(plan, known) if options.skip_nonfinite else None
        if not options.accumulation:
            self._update(plan, known, numbers, iterations, finite)
            return finite
        steps = tf.cast(numbers.accumulation_steps, iterations.dtype)
        tf.cond(
            tf.equal((iterations + 1) % steps, 0),
            # The scalars are computed inside the branches, because Python numbers are constants
            # there.
            lambda: self._update(plan, known, numbers, iterations // steps, finite),
            lambda: self._accumulate(plan, known, numbers, finite),
        )
        return finite

    def _known(self, i: int, gradient: Gradient) -> Array | Rows | None:
        """Convert a gradient for the pure functions: to `Rows` if lazy, else to a dense one."""
        variable = self._tracked[i].slots.variable
        if gradient is None:
            return None
        if isinstance(gradient, tf.Tensor):
            # Without a static shape, XLA would compile another program.
            is_known = gradient.shape.is_fully_defined()
            return gradient if is_known else tf.ensure_shape(gradient, variable.shape)
        rows = Rows(gradient.indices, gradient.values)
        return sparse.densify_or_sum(rows, variable.shape[0], self._options.lazy, self._dtypes[i])

    def _all_finite(self, plan: StepPlan, gradients: Sequence[Array | Rows | None]) -> Flag:
        present = {i for i, gradient in enumerate(gradients) if gradient is not None}
        flags = [step_math.all_finite([gradients[i]]) for i in plan.in_place if i in present]
        flags += [
            self._programs.all_finite(group, gradients)
            for group in plan.programs
            if present.intersection(group)
        ]
        return tf.reduce_all(tf.stack(flags))

    def _update(
        self,
        plan: StepPlan,
        gradients: Sequence[Array | Rows | None],
        numbers: Numbers,
        updates: Scalar,
        finite: Flag | None,
    ) -> None:
        """Take the step that follows `updates` earlier ones."""
        tracked, options, programs = self._tracked, self._options, self._programs
        exact, packed, scalars = self._scalars(plan, numbers, updates)
        means = {
            i: step_math.mean_gradient(gradients[i], tracked[i].slots, scalars[i], options)
            for i in plan.in_place
            if gradients[i] is not None
        }
        clip_scale = None
        if options.clip == "global_clipnorm":
            square_sums = [sparse.square_sum(mean) for mean in means.values()]
            square_sums += [
                programs.square_sum(group, gradients, packed) for group in plan.programs
            ]
            square_sum = tf.add_n([tf.cast(each, tf.float64) for each in square_sums])
            clip_scale = step_math.global_clip_scale(square_sum, exact.clip_bound)
        clipped = {
            i: step_math.clip(mean, scalars[i], options, clip_scale) for i, mean in means.items()
        }
        for i in plan.kernel:
            native.by_kernel(tracked[i], clipped.get(i), scalars[i], options)
        for i in plan.operations:
            native.by_operations(tracked[i], clipped.get(i), scalars[i], options, finite)
        for group in plan.programs:
            programs.update(group, gradients, packed, clip_scale, finite)
        for i in plan.rows:
            native.in_rows(tracked[i], clipped[i], scalars[i], options, finite, self._assign)

    def _accumulate(
        self,
        plan: StepPlan,
        gradients: Sequence[Array | Rows | None],
        numbers: Numbers,
        finite: Flag | None,
    ) -> None:
        """Add the gradients to the accumulators."""
        _, packed, scalars = self._scalars(plan, numbers, tf.zeros((), tf.float64))
        for i in plan.in_place:
            if gradients[i] is not None:
                native.accumulate(self._tracked[i], gradients[i], scalars[i], self._options, finite)
        for group in plan.programs:
            self._programs.accumulate(group, gradients, packed, finite)

    def _scalars(
        self, plan: StepPlan, numbers: Numbers, updates: Scalar
    ) -> tuple[Scalars, Packed, dict[int, Scalars]]:
        """Return the scalars of the step after `updates` updates, in three forms.

        The first is in float64, the second is for the programs. The third has scalars for each
        variable that no program updates, in its compute dtype.
        """
        numbers = Numbers(*(tf.cast(number, tf.float64) for number in numbers))
        updates = tf.cast(updates, tf.float64)
        exact = adam.scalars(numbers, updates)
        by_adam = {
            dtype: native.scalars(numbers, updates, dtype)
            for dtype in {self._dtypes[i] for i in (*plan.kernel, *plan.operations)}
        }
        in_rows = {
            dtype: Scalars(*(tf.cast(scalar, dtype) for scalar in exact))
            for dtype in {self._dtypes[i] for i in plan.rows}
        }
        in_place = {
            i: (in_rows if i in plan.rows else by_adam)[self._dtypes[i]] for i in plan.in_place
        }
        return exact, self._programs.pack(exact), in_place
