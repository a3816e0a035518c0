"""The folder of a report: who may write into it; beside the rows, how and where they were made."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import filelock

from benchmarks.errors import InputError
from benchmarks.store.csv_file import Row

LOCK = ".lock"
"""An empty file, held by the command that writes into the folder."""


def open_folder(folder: Path, command: str, environment: Row) -> None:
    """Make the folder of a report, and put into it the command and the environment.

    A folder that is there keeps its environment, and gets another line of `command.txt` if the
    command is another.

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
    """Keep other commands from writing into `folder`, which is made if it is not there.

    The hold ends with the process, however that ends.

    Raises:
        InputError: another command holds it, or it cannot be written.
    """
    lock = filelock.FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            "another command is at work in it; wait for its end, or name another folder",
            output=folder,
        ) from None
    except OSError as error:
        raise InputError(error.strerror or "not writable", output=folder) from error
    try:
        yield
    finally:
        lock.release()
