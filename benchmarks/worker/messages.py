"""What a worker and its parent tell each other, beside the messages of the function itself."""

import dataclasses
from pathlib import Path

from benchmarks.errors import InputError


@dataclasses.dataclass(frozen=True)
class Setting:
    """The first message to a worker: where it works, and what it does there."""

    environment: dict[str, str]
    """All of its environment variables."""
    folder: Path
    """Its working directory."""
    path: list[str]
    """Its `sys.path`."""
    arguments: list[str]
    """Its `sys.argv`."""
    log: Path | None
    """File for what it prints; None leaves that on the terminal."""
    programs: Path | None
    """Folder of the cache of compiled programs, if it has one."""
    call: bytes
    """Function, arguments and whether it listens, pickled: the path must be set to read them."""


@dataclasses.dataclass(frozen=True)
class Started:
    """The first message of a worker."""

    pid: int


@dataclasses.dataclass(frozen=True)
class Returned:
    """The last message of a worker whose function has returned."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """The last message of a worker that did not get to its end."""

    status: str
    """"oom", "error" or "timeout"."""
    error: str
    """One line."""
    input_error: InputError | None = dataclasses.field(default=None, compare=False)
    """If it is the user who can put it right."""

    def as_input_error(self) -> InputError:
        """Return what the parent is to raise when it cannot go on."""
        return self.input_error or InputError(self.error)
