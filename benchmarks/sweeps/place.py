"""The interface of a place for runs, and the events that it yields.

A new place needs one file with a class that has the methods of `Place`.
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
    """The result of a run, from any place."""

    config: RunConfig
    started_at: str
    """The date and time of the start, in ISO 8601."""
    measured: Row
    """The status, the error, and the measured columns of runs.csv."""
    epochs: Sequence[Row] = ()
    """The rows of epochs.csv."""
    environment: Row = dataclasses.field(default_factory=dict)
    """The environment columns."""
    runs_on_host: int = 1
    """The largest number of runs at the same time on the machine of this run."""
    files: Mapping[str, bytes] | None = None
    """The files of a run on another machine, by name; None if they are in the folder."""

    @property
    def status(self) -> str:
        """The status of the run; see `store.schema`."""
        return str(self.measured["status"])

    def row(self) -> Row:
        """Return the row of runs.csv."""
        return {
            "run_id": self.config.run_id,
            **dataclasses.asdict(self.config),
            "jit_compile": None,  # the run measures it
            "started_at": self.started_at,
            **self.measured,
            **self.environment,
            "runs_on_host": self.runs_on_host,
        }


def failed(config: RunConfig, error: str) -> RunResult:
    """Return the result of a run that could not be done, through no fault of its own."""
    return RunResult(config, now(), {"status": "error", "error": error})


def now() -> str:
    """Return the date and time in the form of `started_at`."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclasses.dataclass(frozen=True)
class Begun:
    """A run has begun."""

    config: RunConfig


@dataclasses.dataclass(frozen=True)
class Heard:
    """A message of a run has come."""

    config: RunConfig
    message: Progress | Epoch


@dataclasses.dataclass(frozen=True)
class Lost:
    """A run was lost and must be done again."""

    config: RunConfig
    reason: str


@dataclasses.dataclass(frozen=True)
class Done:
    """A run has ended."""

    result: RunResult


Event = Begun | Heard | Lost | Done


class Place(Protocol):
    """A place where the runs of a sweep are done."""

    def check(self, configs: Sequence[RunConfig]) -> Checked:
        """Find in seconds the errors that every run would have, and prepare the data sets.

        Raises:
            InputError: every run would fail.
            ConnectionError: the place cannot be reached any more.
        """

    def do(self, configs: Sequence[RunConfig], folder: Path) -> Generator[Event, None, None]:
        """Do every run; yield its events, and a `Done` for each run.

        Args:
            configs: the runs, which `check` has passed.
            folder: folder of the sweep, for the runs' backups, weights and logs of failures.

        Raises:
            InputError: the runs that are left cannot be done.
            ConnectionError: the place cannot be reached any more.
        """

    def close(self) -> None:
        """Tell the place that no more runs come."""
