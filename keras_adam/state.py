"""The state of a built optimizer: Keras's variables, and our additional ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras

from keras_adam import exclusion
from keras_adam.annotations import Slot, Variable
from keras_adam.backends.interface import TrackedVariable
from keras_adam.math import adam, blocks
from keras_adam.math.adam import Slots
from keras_adam.saving import Own, Saved

if TYPE_CHECKING:
    from keras_adam.optimizer import Adam


class State:
    """The additional variables: scales of codes, master weights, and the count of skipped steps."""

    def __init__(self, optimizer: "Adam") -> None:
        """Add these variables to an optimizer that has Keras's variables."""
        self._keras_variables = optimizer.variables
        self._scales = {
            id(variable): optimizer.add_variable(
                (blocks.block_count(variable.shape),),
                dtype="float32",
                name=f"{variable.name}_scale",
            )
            for variable in self._keras_variables
            if variable.dtype in ("int8", "uint8") and optimizer.state_dtype == "int8"
        }
        # The master weights are zeros at first. `storage.decode` then uses the variable.
        self._masters = {
            id(variable): optimizer.add_variable_from_reference(variable, "master")
            for variable in optimizer._trainable_variables
            if optimizer.master_weights is True and _has_master(variable)
        }
        self.skipped_steps: Slot = None
        if optimizer.skip_nonfinite:
            self.skipped_steps = optimizer.add_variable(
                (), dtype="int", name="skipped_steps", aggregation="only_first_replica"
            )

    def own(self, optimizer: "Adam") -> Own:
        """Return the variables that a file holds."""
        # If the user has set a schedule, the learning rate is not a variable any more.
        present = {id(variable) for variable in optimizer.variables}
        keras_variables = [v for v in self._keras_variables if id(v) in present]
        scales = [self._scales[id(v)] for v in keras_variables if id(v) in self._scales]
        saved = Saved(keras_variables, scales, list(self._masters.values()))
        return Own(optimizer.name, saved, optimizer._learning_rate)

    def tracked(self, optimizer: "Adam") -> list[TrackedVariable]:
        """Gather the slots of each variable; a variable has no state if its gradient overwrites it.

        Raises:
            ValueError: an option needs slots that were not created when the optimizer was built.

        """

        def slots_of(option: str, attribute: str) -> Sequence[Variable | None]:
            if not getattr(optimizer, option):
                return [None] * len(optimizer._trainable_variables)
            slots = getattr(optimizer, attribute, None)
            if not slots:
                raise ValueError(
                    f"`{option}` must be set before the optimizer is built, that is, before its "
                    "first step, because it needs its own state. Received: "
                    f"{getattr(optimizer, option)!r}."
                )
            return slots

        slots = zip(
            optimizer._trainable_variables,
            optimizer._momentums,
            optimizer._velocities,
            slots_of("amsgrad", "_velocity_hats"),
            slots_of("use_ema", "_model_variables_moving_average"),
            slots_of("gradient_accumulation_steps", "_accumulated_gradients"),
            strict=True,
        )
        return [
            TrackedVariable(
                Slots(*map(self._with_scale, each))._replace(master=self._masters.get(id(each[0]))),
                exclusion.decays(optimizer, each[0]),
            )
            for each in slots
        ]

    def _with_scale(self, variable: Variable | None) -> Slot:
        scale = self._scales.get(id(variable))
        return variable if scale is None else blocks.Quantized(variable, scale)


def _has_master(variable: Variable) -> bool:
    is_overwritten = getattr(variable, "overwrite_with_gradient", False)
    return adam.is_half(keras.backend.standardize_dtype(variable.dtype)) and not is_overwritten
