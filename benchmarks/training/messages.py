"""What a worker process tells the parent: the messages, in the order in which they come."""

import dataclasses

from benchmarks.run import RunConfig
from benchmarks.store.csv_file import Row


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run is; loss and accuracy are the means over the epoch so far."""

    epoch: int
    """Counted from 1."""
    step: int
    steps: int
    loss: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Epoch:
    """An epoch has ended."""

    row: Row
    """Of `epochs.csv`."""
    restored: bool = False
    """Whether it was trained before the run was interrupted, and comes from a backup."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run has ended, in training to the end or in divergence."""

    row: Row
    """The measured columns of `runs.csv`; its `wall_seconds` are those of earlier processes."""


@dataclasses.dataclass(frozen=True)
class Told:
    """Process 0 of those that train together has said which run is next."""

    config: RunConfig


@dataclasses.dataclass(frozen=True)
class Ended:
    """Process 0 has said that nothing comes any more."""
