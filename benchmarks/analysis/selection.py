"""What of the folders is compared."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Selection:
    """What a user wants compared."""

    baseline: str | None = None
    """The optimizer that the others are compared with. None is `adam`, with arguments too, if it
    has a result, else the first that has. Two folders have none: each is compared with itself."""
    optimizers: Sequence[str] = ()
    """The others; empty means all."""
    metrics: Sequence[str] = ()
    """Columns; empty means all."""
    any_environment: bool = False
    """Whether to compare what was made on different machines or with different versions."""


ALL = Selection()
