"""Which part of the folders is compared."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Selection:
    """The part of the results that the user wants to compare."""

    baseline: str | None = None
    """The optimizer that the others are compared with. None means `adam` (also with arguments) if
    it has a result, else the first optimizer with a result. Between two folders there is no
    baseline: each optimizer is compared with itself."""
    optimizers: Sequence[str] = ()
    """The optimizers to compare with the baseline; empty means all."""
    metrics: Sequence[str] = ()
    """The columns to compare; empty means all."""
    any_environment: bool = False
    """Whether to compare runs from different machines or versions."""


ALL = Selection()
