"""The folder of a report: its lock, its command and its environment."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import filelock

from benchmarks.errors import InputError
from benchmarks.store.csv_file import Row

LOCK = ".lock"
"""An empty file, locked by the command that writes into the folder."""


def open_folder(folder: Path, command: str, environment: Row) -> None:
    """Make the folder of a report, and write the command and the environment into it.

    A folder that exists keeps its environment, and gets another line in `command.txt` if the
    command is another one.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "command.txt").open("a+") as file:
            file.seek(0)
            if not file.read().endswith(command + "\n"):
                file.write(command + "\n")
        machine = folder / "environment.json"
        if not machine.exists():
            machine.write_text(json.dumps(environment, indent=2) + "\n")
    except OSError as error:
        raise InputError(error.strerror or "not writable", output=folder) from error


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Lock `folder` against other commands, and create it if needed.

    The lock ends with the process, even if the process is killed.

    Raises:
        InputError: another command holds the folder, or it cannot be written.
    """
    lock = filelock.FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            "another command uses this folder; wait for its end, or name another folder",
            output=folder,
        ) from None
    except OSError as error:
        raise InputError(error.strerror or "not writable", output=folder) from error
    try:
        yield
    finally:
        lock.release()
