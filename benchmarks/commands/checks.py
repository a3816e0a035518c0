"""Checks and values that several commands need at their start."""

import collections
import datetime
import importlib.util
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.errors import InputError


def given_once(**options: Iterable[str]) -> None:
    """Raise an `InputError` if a value of an option was given twice."""
    for option, given in options.items():
        for value, count in collections.Counter(given).items():
            if count > 1:
                raise InputError("given twice", **{option: value})


def installed(backend: str) -> None:
    """Raise an `InputError` unless the backend is installed."""
    if importlib.util.find_spec(backend) is None:
        raise InputError(f"{backend} is not installed here", backend=backend)


def default_folder(command: str) -> Path:
    """Return the folder for the reports of a command without --output."""
    return Path("results") / f"{command}-{datetime.datetime.now().astimezone():%Y%m%d-%H%M%S}"


def command_line() -> str:
    """Return the user's command, as it is written to `command.txt`."""
    return shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])


def command_to_resume(folder: Path) -> str:
    """Return the command that continues in `folder`."""
    words = command_line()
    if not any(word.partition("=")[0] == "--output" for word in sys.argv[1:]):
        words += f" --output {shlex.quote(str(folder))}"
    return words if "--resume" in sys.argv[1:] else f"{words} --resume"
