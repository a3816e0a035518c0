"""Where runs can be done, and what is heard from there.

A new place is one file with a class that has the methods of `Place`.
"""

import dataclasses
import datetime
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.environment import Checked
from benchmarks.run import RunConfig
from benchmarks.store.csv_file import Row
from benchmarks.training.messages import Epoch, Progress


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What came of a run, wherever it was done."""

    config: RunConfig
    started_at: str
    """Date and time, ISO 8601."""
    measured: Row
    """Status, error, and the measured columns of runs.csv."""
    epochs: Sequence[Row] = ()
    """Rows of epochs.csv."""
    environment: Row = dataclasses.field(default_factory=dict)
    """The environment columns."""
    runs_on_host: int = 1
    """How many runs its machine did at the same time, at most."""
    files: Mapping[str, bytes] | None = None
    """The files of a run that was done elsewhere, by name; None if they are in the folder."""

    @property
    def status(self) -> str:
        """The status of the run; see `store.schema`."""
        return str(self.measured["status"])

    def row(self) -> Row:
        """Return its row of runs.csv."""
        return {
            "run_id": self.config.run_id,
            **dataclasses.asdict(self.config),
            "jit_compile": None,  # the column holds what it came to, which the run measures
            "started_at": self.started_at,
            **self.measured,
            **self.environment,
            "runs_on_host": self.runs_on_host,
        }


def failed(config: RunConfig, error: str) -> RunResult:
    """Return the result of a run that could not be done, for a reason that is not its own."""
    return RunResult(config, now(), {"status": "error", "error": error})


def now() -> str:
    """Return the date and time as they stand in `started_at`."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclasses.dataclass(frozen=True)
class Begun:
    """A run begins."""

    config: RunConfig


@dataclasses.dataclass(frozen=True)
class Heard:
    """A run says how it goes."""

    config: RunConfig
    message: Progress | Epoch


@dataclasses.dataclass(frozen=True)
class Lost:
    """A run must be done again."""

    config: RunConfig
    reason: str


@dataclasses.dataclass(frozen=True)
class Done:
    """A run has ended."""

    result: RunResult


Event = Begun | Heard | Lost | Done


class Place(Protocol):
    """Where the runs of a sweep are done."""

    def check(self, configs: Sequence[RunConfig]) -> Checked:
        """Find in seconds what would fail in every run, and prepare the data sets.

        Raises:
            InputError: something would.
            ConnectionError: the place cannot be reached any more.
        """

    def do(self, configs: Sequence[RunConfig], folder: Path) -> Generator[Event, None, None]:
        """Do every run; yield what is heard, and a `Done` for each.

        Args:
            configs: the runs, which `check` has passed.
            folder: of the sweep, for the files of the runs: backup, weights, log of a failure.

        Raises:
            InputError: the runs that are left cannot be done.
            ConnectionError: the place cannot be reached any more.
        """

    def close(self) -> None:
        """Tell the place that no more runs come."""
