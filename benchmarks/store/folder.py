"""The folder of a report: beside the rows, how and where they were made."""

import json
from pathlib import Path

from benchmarks.errors import InputError
from benchmarks.store.csv_file import Row


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
