"""The messages of a worker process to its parent, in their order."""

import dataclasses

from benchmarks.run import RunConfig
from benchmarks.store.csv_file import Row


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of a run; loss and accuracy are means over the epoch so far."""

    epoch: int
    """The number of the epoch, counted from 1."""
    step: int
    steps: int
    loss: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Epoch:
    """An epoch has ended."""

    row: Row
    """The row of the epoch in `epochs.csv`."""
    restored: bool = False
    """Whether the epoch comes from a backup, because the run was interrupted after it."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run has ended, after its last step or by divergence."""

    row: Row
    """The measured columns of `runs.csv`, with the `wall_seconds` of earlier processes."""


@dataclasses.dataclass(frozen=True)
class Told:
    """Process 0 has said which run comes next."""

    config: RunConfig


@dataclasses.dataclass(frozen=True)
class Ended:
    """Process 0 has said that no more runs come."""
