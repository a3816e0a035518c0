"""The optimizers `Adam` and `AdamW`, with the methods that Keras calls."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import keras
from keras import ops

from keras_adam import distribution, exclusion, keras_internals, saving, validate
from keras_adam.annotations import (
    Array,
    BackendVariable,
    Flag,
    Gradient,
    Number,
    Scalar,
    Store,
    Variable,
)
from keras_adam.arguments import read_numbers, read_options
from keras_adam.backends.interface import Updater, updater_class, without_autograph
from keras_adam.built import BuiltVariables, variables_of
from keras_adam.describe import describe
from keras_adam.math import adam, storage
from keras_adam.state import State


@keras.saving.register_keras_serializable(package="keras_adam")
class Adam(keras.optimizers.Adam):
    """Adam with a compiled update of all variables.

    The bias corrections are included in the step size. Each step t computes

        momentum <- beta_1 * momentum + (1 - beta_1) * gradient
        velocity <- beta_2 * velocity + (1 - beta_2) * gradient**2
        step_size = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
        variable <- variable - step_size * momentum / (sqrt(velocity) + epsilon)

    in float32 (float64 for float64 variables), for variables of any dtype. State, options and
    defaults are those of `keras.optimizers.Adam`, so that each of the two optimizers can continue
    from the other's checkpoint.

    A float below may also be a scalar tensor or variable, a callable without arguments
    that returns one of these, or a `keras.optimizers.schedules.LearningRateSchedule`. Each step
    reads, calls or evaluates them, so their values may change. A new value compiles nothing.
    There are two exceptions: Keras itself accepts no tensor as `learning_rate`, and `ema_momentum`
    must be a number.

    If a subclass overrides a method of Keras's update (`update_step`, `_clip_gradients`, ...), it
    gets Keras's own update. Keras's update calls this method and is not compiled.

    Args:
        learning_rate: Float. Defaults to `0.001`.
        beta_1: Float in [0, 1). Decay rate of the momentum. Defaults to `0.9`.
        beta_2: Float in [0, 1). Decay rate of the velocity. Defaults to `0.999`.
        epsilon: Float > 0, the paper's "epsilon hat". Defaults to `1e-7`.
        amsgrad: Boolean. Divide by the largest velocity so far. Defaults to `False`.
        weight_decay: Float or `None`. Rate of decoupled weight decay, multiplied
            by the learning rate.
        clipnorm: Float or `None`. Largest norm of each variable's gradient.
        clipvalue: Float or `None`. Largest absolute value in a gradient.
        global_clipnorm: Float or `None`. Largest norm of all gradients together.
        use_ema: Boolean. Keep an exponential moving average of the variables.
        ema_momentum: Float in [0, 1], the average's decay rate. Defaults to `0.99`.
        ema_overwrite_frequency: Integer >= 1 or `None`. Each time after this number of updates, the
            variables are set to their averages.
        loss_scale_factor: Float or `None`. `fit` multiplies the loss by this factor, and the update
            divides the gradients by it.
        gradient_accumulation_steps: Integer >= 2 or `None`. The variables are updated once in this
            number of calls, from the mean of their gradients.
        name: String or `None`.
        jit_compile: Boolean. `False` runs the same computation uncompiled.
        lazy: Boolean. A sparse gradient updates only the rows that it names, with their momentum
            and velocity. Other rows do not change at all, so this is a different algorithm from
            Adam. The time depends on the number of named rows, not on the size of the table.
        skip_nonfinite: Boolean. If any gradient is not finite, the call changes only
            `skipped_steps`.
        state_dtype: `None`, `"float32"`, `"bfloat16"` or `"int8"`. How momentum and velocity are
            stored; `None` is the variable's dtype. `"bfloat16"` needs 4 bytes a parameter instead
            of 8, and rounds at random, so that small changes count on average. `"int8"` needs 2.03
            bytes, and stores codes with a scale for each block of 256 numbers. With `"int8"`,
            variables of fewer than 4,096 numbers keep float32, and `lazy=True` is an error.
        master_weights: `False`, `True` or `"stochastic"`. It is for bfloat16 and float16 variables,
            in which rounding loses small steps. `True` keeps a float32 copy of each variable, in
            which small steps add up. The variable's average and accumulator are float32 too.
            `"stochastic"` keeps no copy and rounds bfloat16 variables at random. Other variables
            are not affected.

    References:

    - Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, section 2
    - Reddi et al. 2018, https://openreview.net/pdf?id=ryQu7f-RZ, for `amsgrad`
    - Dettmers et al. 2022, https://arxiv.org/abs/2110.02861, for eight-bit states in blocks

    Examples:
        >>> model.compile(optimizer=keras_adam.Adam(1e-3), loss="mse")

    """

    def __init__(
        self,
        learning_rate: Number = 0.001,
        beta_1: Number = 0.9,
        beta_2: Number = 0.999,
        epsilon: Number = 1e-7,
        amsgrad: bool = False,
        weight_decay: Number | None = None,
        clipnorm: Number | None = None,
        clipvalue: Number | None = None,
        global_clipnorm: Number | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: Number | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        *,
        jit_compile: bool = True,
        lazy: bool = False,
        skip_nonfinite: bool = False,
        state_dtype: str | None = None,
        master_weights: bool | str = False,
        **kwargs: object,
    ) -> None:
        of_keras = {
            "learning_rate": learning_rate,
            "beta_1": beta_1,
            "beta_2": beta_2,
            "epsilon": epsilon,
            "amsgrad": amsgrad,
            "weight_decay": weight_decay,
            "clipnorm": clipnorm,
            "clipvalue": clipvalue,
            "global_clipnorm": global_clipnorm,
            "use_ema": use_ema,
            "ema_momentum": ema_momentum,
            "ema_overwrite_frequency": ema_overwrite_frequency,
            "loss_scale_factor": loss_scale_factor,
            "gradient_accumulation_steps": gradient_accumulation_steps,
            "name": name,
        }
        validate.constructor(
            **of_keras,
            jit_compile=jit_compile,
            state_dtype=state_dtype,
            master_weights=master_weights,
        )
        super().__init__(**of_keras, **kwargs)
        self._excluded_names: Sequence[str] = ()
        validate.not_with_hooks("state_dtype", state_dtype, self._overridden_hooks())
        validate.not_with_hooks("master_weights", master_weights, self._overridden_hooks())
        self._state_dtype = state_dtype
        self._master_weights = master_weights
        self._lazy = False
        self._skip_nonfinite = False
        self.jit_compile = jit_compile
        self.lazy = lazy
        self.skip_nonfinite = skip_nonfinite
        self._updater_class = updater_class()
        self._updater: Updater | None = None
        self._slots_in_use: tuple[bool, bool, bool] | None = None
        # `build` makes these two.
        self._variables_built: BuiltVariables
        self._state: State
        # State that was loaded before the optimizer had variables for it.
        self._loaded: saving.Loaded | None = None

    def build(self, variables: Sequence[Variable | BackendVariable]) -> None:
        """Create the state of `variables`, in Keras's order: momentum, velocity, ...

        State that was loaded earlier is taken now, if it fits.

        Raises:
            ValueError: the options do not fit the variables.

        """
        if self.built:
            return
        validate.not_stochastic_in_float16(self.master_weights, variables)
        exclusion.warn_of_names_that_exclude_nothing(self._excluded_names, variables)
        super().build(variables)
        self._variables_built = self._remember(self._trainable_variables)
        self._state = State(self)
        self._take_loaded()

    def _remember(self, variables: Sequence[Variable | BackendVariable]) -> BuiltVariables:
        return BuiltVariables(variables, self._updater_class.sparse_gradient)

    def _take_loaded(self) -> None:
        """Take the state that was loaded before the optimizer was built.

        `saving.take` warns if the state does not fit. The user may turn this warning into an error.
        Then the loaded state is kept, and the next call raises the error again.
        """
        if self._loaded is not None:
            with self._updater_class.outside_of_graphs():
                saving.take(self._own(), self._loaded, takes_learning_rate=False)
            self._loaded = None

    # `add_variable_from_reference` sets these arguments during its call, and `add_variable` uses
    # them in place of Keras's, which are the dtype and the layout of the reference variable.
    _slot_arguments: Mapping[str, object] = MappingProxyType({})

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: object = "zeros"
    ) -> Variable:
        """Add a slot as Keras does, in the dtype of `state_dtype`.

        Under a `keras_adam.distribution.DataParallel` the slot may be split over the devices.
        """
        variable = reference_variable
        dtype = keras.backend.standardize_dtype(variable.dtype)
        has_master = bool(self.master_weights) and adam.is_half(dtype)
        dtype = storage.slot_dtype(name or "", variable.shape, dtype, self.state_dtype, has_master)
        layout = distribution.slot_layout(variable.shape)
        self._slot_arguments = {"dtype": dtype, **({"layout": layout} if layout else {})}
        try:
            return super().add_variable_from_reference(variable, name, initializer)
        finally:
            self._slot_arguments = {}

    def add_variable(self, *arguments: object, **others: object) -> Variable:
        """Add a variable of the state, as Keras does."""
        return super().add_variable(*arguments, **{**others, **self._slot_arguments})

    @property
    def state_dtype(self) -> str | None:
        """The dtype in which momentum and velocity are stored; `None` is the variable's dtype."""
        return self._state_dtype

    @property
    def master_weights(self) -> bool | str:
        """Whether half precision variables have a float32 copy, or are rounded at random."""
        return self._master_weights

    @property
    def lazy(self) -> bool:
        """Whether a sparse gradient updates only the rows that it names."""
        return self._lazy

    @lazy.setter
    def lazy(self, lazy: bool) -> None:
        validate.booleans(lazy=lazy)
        validate.lazy_alone(
            lazy,
            use_ema=self.use_ema,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
        )
        validate.not_lazy_in_blocks(lazy, self.state_dtype)
        validate.not_with_hooks("lazy", lazy, self._overridden_hooks())
        self._lazy = lazy

    @property
    def skip_nonfinite(self) -> bool:
        """Whether a step with a gradient that is not finite changes nothing."""
        return self._skip_nonfinite

    @skip_nonfinite.setter
    def skip_nonfinite(self, skip_nonfinite: bool) -> None:
        validate.booleans(skip_nonfinite=skip_nonfinite)
        validate.not_with_hooks("skip_nonfinite", skip_nonfinite, self._overridden_hooks())
        if skip_nonfinite and self.built and self._state.skipped_steps is None:
            raise ValueError(
                "`skip_nonfinite` must be True before the optimizer is built, that is, before its "
                "first step, because it counts the skipped steps in a variable. Received: "
                "skip_nonfinite=True."
            )
        self._skip_nonfinite = skip_nonfinite

    @property
    def skipped_steps(self) -> Scalar:
        """The number of calls of `apply` that changed nothing because a gradient was not finite."""
        count = self._state.skipped_steps if self.built else None
        return 0 if count is None else count

    @property
    def fused_variables(self) -> int | None:
        """The number of variables that torch's fused kernel updated in the last step, on PyTorch.

        The pure functions updated the other variables. The value is `None` on other backends, and
        before the first step. Steps in `torch.compile` and `stateless_apply` do not count, because
        they do not use the kernel.
        """
        return getattr(self._updater, "fused_variables", None)

    @without_autograph
    def apply(
        self,
        grads: Sequence[Gradient],
        trainable_variables: Sequence[Variable | BackendVariable] | None = None,
    ) -> None:
        """Update the variables, with one gradient for each.

        Args:
            grads: Gradients with the shapes of the variables and floating dtypes. They may be
                sparse if the backend makes sparse gradients. A variable whose gradient is `None`
                does not change.
            trainable_variables: The variables, the same at every call. `None` means the variables
                that the optimizer was built with.

        Raises:
            ValueError: the gradients do not fit the variables, or the optimizer was not built with
            one of the variables.

        """
        grads = list(grads)
        if not grads:
            return
        if self._overridden_hooks():
            super().apply(grads, trainable_variables)
            return
        own = self._trainable_variables if self.built else None
        variables = all_variables = variables_of(grads, trainable_variables, own)
        with keras.name_scope(self.name, caller=self):
            known = self._variables_built if self.built else self._remember(variables)
            self._positions_in(known, variables)  # also checks those whose gradient is `None`
            grads, variables = self._filter_empty_gradients(grads, variables)
            grads = [g if ops.is_tensor(g) else ops.convert_to_tensor(g) for g in grads]
            known.check(self._positions_in(known, variables), grads)
            if not self.built:
                self.build(all_variables)
            self._take_loaded()  # once more, because the call in `build` may have raised
            grads, variables = self._overwrite_variables_directly_with_gradients(grads, variables)
            finite = self._update(grads, variables) if grads else None
            self._constrain(variables, finite)
        self._count(finite)

    def _overridden_hooks(self) -> list[str]:
        return keras_internals.overridden_hooks(self, Adam)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Set the variables to their averages if `use_ema` is on; `fit` calls this at its end.

        With master weights, the averages of half precision variables are float32, and Keras would
        assign them without a cast.
        """
        if not (self.use_ema and self.master_weights):
            super().finalize_variable_values(var_list)
            return
        for variable, average in zip(var_list, self._model_variables_moving_average, strict=True):
            if average is not None:
                variable.assign(ops.cast(average, variable.dtype))

    def _update(self, grads: Sequence[Gradient], variables: Sequence[Variable]) -> Flag | None:
        """Take the compiled step.

        Return whether all gradients were finite, or `None` without `skip_nonfinite`.
        """
        slots_in_use = self.amsgrad, self.use_ema, bool(self.gradient_accumulation_steps)
        if self._updater is None or self._slots_in_use != slots_in_use:
            self._updater = self._updater_class(self._state.tracked(self), self.assign)
            self._slots_in_use = slots_in_use
        positions = self._positions_in(self._variables_built, variables)
        gradients: list[Gradient] = [None] * len(self._trainable_variables)
        for position, gradient in zip(positions, grads, strict=True):
            gradients[position] = gradient
        options = read_options(self)
        return self._updater(gradients, read_numbers(self, options), self._iterations, options)

    def _constrain(self, variables: Sequence[Variable], finite: Flag | None) -> None:
        for variable in variables:
            if variable.constraint is not None:
                value = variable.constraint(variable)
                if finite is not None:
                    value = ops.where(finite, value, ops.convert_to_tensor(variable))
                variable.assign(value)

    def _count(self, finite: Flag | None) -> None:
        """Count the call, or the skipped step."""
        if finite is None:
            self._iterations.assign_add(1)
        else:
            applied = ops.cast(finite, self._iterations.dtype)
            self._iterations.assign_add(applied)
            self._state.skipped_steps.assign_add(1 - applied)

    def _positions_in(self, known: BuiltVariables, variables: Sequence[Variable]) -> list[int]:
        """Return the position of each variable among those that the optimizer updates."""
        positions = known.positions(variables)
        if positions is None:  # perhaps a variable of the backend
            self._check_variables_are_known(variables)
            positions = [self._get_variable_index(variable) for variable in variables]
        return positions

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[Variable | BackendVariable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Exclude variables from weight decay, by the variables or by names in their paths.

        Args:
            var_list: The variables to exclude.
            var_names: Regular expressions that are searched in the path of each variable, such as
                `"layer_normalization/gamma"`. `build` warns if an expression is found in no path.

        Raises:
            ValueError: the optimizer is already built.

        """
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay()` must be called before the optimizer is built, "
                "that is, before its first step."
            )
        super().exclude_from_weight_decay(var_list=var_list, var_names=var_names)
        self._excluded_names = tuple(var_names or ())

    def _own(self) -> saving.Own:
        """Return the variables that a file holds."""
        if self.built:
            return self._state.own(self)
        return saving.Own(self.name, saving.Saved(self.variables), self._learning_rate)

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Set all state of a built optimizer, in the order of `variables`.

        If `weights` has only the number of iterations, 0, and the learning rate, all other state is
        set to 0, as before the first step.

        Raises:
            ValueError: the optimizer is not built, or the number or the shapes do not fit.

        """
        if self.built:
            saving.set_weights(self._own(), self.variables, weights)
        else:
            super().set_weights(weights)  # raises an error that says what to do

    def save_own_variables(self, store: Store) -> None:
        """Write the state to `store`.

        `keras.optimizers.Adam` can read the store if it has no 8-bit codes and no master weights.
        The count of skipped steps is not written, because Keras does not have it.
        """
        if self._loaded is not None and not self.built:
            values = saving.with_learning_rate(self._loaded.values, self._own())
        else:
            values = saving.Saved(*([v.numpy() for v in each] for each in self._own().variables))
        saving.write(store, values)

    def load_own_variables(self, store: Store) -> None:
        """Read the state that an optimizer of this class or of Keras wrote.

        State that fits is taken, including the learning rate. If the optimizer is not built yet,
        the state is kept, and is taken without the learning rate when the optimizer is built.

        Raises:
            ValueError: the state is damaged.

        """
        loaded = saving.read(store)
        if self.built:
            self._loaded = None
            saving.take(self._own(), loaded, takes_learning_rate=True)
        elif not loaded.is_fresh:
            self._loaded = loaded
        elif self._loaded is not None:
            saving.give_up(self._loaded, loaded, self.name)
            self._loaded = None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments.

        A variable or a tensor is returned as its present value, and a schedule as its own
        configuration. A callable is returned as it is.
        """
        config = {
            **super().get_config(),
            "jit_compile": self.jit_compile,
            "lazy": self.lazy,
            "skip_nonfinite": self.skip_nonfinite,
            "state_dtype": self.state_dtype,
            "master_weights": self.master_weights,
        }
        return {name: saving.to_config(value) for name, value in config.items()}

    def __repr__(self) -> str:
        """Return the class with its learning rate and the arguments that are not defaults."""
        return describe(self, self._learning_rate)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Make an optimizer from what `get_config` returned."""
        config = {
            name: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
            if isinstance(value, dict)
            else value
            for name, value in config.items()
        }
        return super().from_config(config, custom_objects=custom_objects)


@keras.saving.register_keras_serializable(package="keras_adam")
class AdamW(Adam, keras.optimizers.AdamW):
    """`Adam` with decoupled weight decay, the same as in `Adam`, but on by default.

        variable <- (1 - learning_rate * weight_decay) * variable
                    - step_size * momentum / (sqrt(velocity) + epsilon)

    Args:
        weight_decay: Float. Defaults to `0.004`. `exclude_from_weight_decay()` excludes variables,
            for example biases; call it before the first step.

    All other arguments are those of `keras_adam.Adam`. Their order is that of
    `keras.optimizers.AdamW`.

    References:

    - Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101, algorithm 2

    Examples:
        >>> model.compile(optimizer=keras_adam.AdamW(1e-3, weight_decay=0.01), loss="mse")

    """

    def __init__(
        self,
        learning_rate: Number = 0.001,
        weight_decay: Number = 0.004,
        beta_1: Number = 0.9,
        beta_2: Number = 0.999,
        epsilon: Number = 1e-7,
        amsgrad: bool = False,
        clipnorm: Number | None = None,
        clipvalue: Number | None = None,
        global_clipnorm: Number | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: Number | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        *,
        jit_compile: bool = True,
        lazy: bool = False,
        skip_nonfinite: bool = False,
        state_dtype: str | None = None,
        master_weights: bool | str = False,
        **kwargs: object,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            jit_compile=jit_compile,
            lazy=lazy,
            skip_nonfinite=skip_nonfinite,
            state_dtype=state_dtype,
            master_weights=master_weights,
            **kwargs,
        )
