"""Which parts of a step are on."""

import dataclasses
from typing import Literal

Clip = Literal["clipnorm", "clipvalue", "global_clipnorm"]


@dataclasses.dataclass(frozen=True)
class Options:
    """The structure of a step; compiled programs depend only on it and on shapes and dtypes.

    Numbers are in `Numbers`, because they may change at every step.
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
        """Whether clipping, loss scale, accumulation and rounding at random are all off."""
        return not (
            self.clip
            or self.loss_scale
            or self.accumulation
            or self.state_dtype == "bfloat16"
            or self.rounds_weights_at_random
        )

    @property
    def moves_by_stored(self) -> bool:
        """Whether the variable moves by the stored (rounded) momentum and velocity.

        In bfloat16 the stored values are good enough, and XLA on a CPU then reads fewer bytes. In
        other cases the values before the rounding are used: eight-bit codes are coarse, and a
        velocity in float16 may be rounded to zero.
        """
        return self.state_dtype == "bfloat16"
