"""Which parts of a step are switched on."""

import dataclasses
from typing import Literal

Clip = Literal["clipnorm", "clipvalue", "global_clipnorm"]


@dataclasses.dataclass(frozen=True)
class Options:
    """The structure of a step: all that a compiled program depends on besides shapes and dtypes.

    Whatever is a number is not here but in `Numbers`: it may change at every step.
    """

    clip: Clip | None = None
    weight_decay: bool = False
    loss_scale: bool = False
    accumulation: bool = False
    overwrites_with_average: bool = False
    lazy: bool = False
    skip_nonfinite: bool = False
    jit_compile: bool = True
    state_dtype: str | None = None
    rounds_weights_at_random: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether a step is Adam, with or without decay, and nothing more."""
        return not (
            self.clip
            or self.loss_scale
            or self.accumulation
            or self.state_dtype == "bfloat16"
            or self.rounds_weights_at_random
        )

    @property
    def moves_by_stored(self) -> bool:
        """Whether the variable moves by the momentum and velocity that were stored, rounded.

        In bfloat16 they are as good, and XLA on a CPU then reads fewer bytes. Else those before
        the rounding serve: those in codes are coarse, and a velocity in float16 may be zero.
        """
        return self.state_dtype == "bfloat16"
