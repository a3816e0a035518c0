"""The messages between a worker and its parent, beside those of the function itself."""

import dataclasses
from pathlib import Path

from benchmarks.errors import InputError


@dataclasses.dataclass(frozen=True)
class Setting:
    """The first message to a worker: its environment and its work."""

    environment: dict[str, str]
    """All environment variables of the worker."""
    folder: Path
    """The working directory of the worker."""
    path: list[str]
    """The worker's `sys.path`."""
    arguments: list[str]
    """The worker's `sys.argv`."""
    log: Path | None
    """The file for the worker's output; None is the terminal."""
    programs: Path | None
    """The folder of the cache of compiled programs, if there is one."""
    call: bytes
    """The function, its arguments and whether it listens, as a pickle, because reading them needs
    `sys.path`."""


@dataclasses.dataclass(frozen=True)
class Started:
    """The first message of a worker."""

    pid: int


@dataclasses.dataclass(frozen=True)
class Returned:
    """The last message of a worker whose function has returned."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """The last message of a worker that has failed."""

    status: str
    """The status: "oom", "error" or "timeout"."""
    error: str
    """The error in one line."""
    input_error: InputError | None = dataclasses.field(default=None, compare=False)
    """The error that the user can correct, if it is one."""

    def as_input_error(self) -> InputError:
        """Return the error that the parent raises if it cannot continue."""
        return self.input_error or InputError(self.error)
