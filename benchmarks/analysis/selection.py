"""Which part of the folders is compared."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Selection:
    """The part of the results that the user wants to compare."""

    baseline: str | None = None
    """The optimizer that the others are compared with. None is `adam`, with arguments too, if it
    has a result, else the first that has. Two folders have none: each is compared with itself."""
    optimizers: Sequence[str] = ()
    """The optimizers to compare with the baseline; empty means all."""
    metrics: Sequence[str] = ()
    """The columns to compare; empty means all."""
    any_environment: bool = False
    """Whether to compare runs from different machines or versions."""


ALL = Selection()
