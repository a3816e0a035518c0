"""Puts several reports into one folder."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.errors import InputError
from benchmarks.store import csv_file, schema

SCHEMAS = {
    name: schema.FILES[name]
    for name in (
        *("runs.csv", "epochs.csv", "updates.csv", "updates_raw.csv", "steps.csv"),
        *("overhead.csv", "programs.csv"),
    )
}
"""The files that can be merged."""


def merge(folders: Sequence[Path], into: Path) -> None:
    """Write the rows and commands of all reports in `folders` into `into`.

    Raises:
        InputError: a folder has no report, or a folder has a search, whose trials are not
        repetitions; two folders have the same run; or `into` has a report or cannot be written.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        if not any((folder / name).exists() for name in SCHEMAS):
            raise InputError(f"{folder}: holds no report")
        if (folder / "trials.csv").exists():
            raise InputError(f"{folder}: holds a search, which cannot be merged with others")
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(error.strerror or "not writable", output=into) from error
    for name, its_schema in SCHEMAS.items():
        if (into / name).exists():
            raise InputError("holds a report already; name a new folder", output=into)
        paths = [folder / name for folder in folders if (folder / name).exists()]
        if not paths:
            continue
        rows = pd.concat([csv_file.read(path, its_schema) for path in paths], ignore_index=True)
        if name == "runs.csv" and rows["run_id"].duplicated().any():
            twice = rows["run_id"][rows["run_id"].duplicated()].iloc[0]
            raise InputError(f"two of the folders hold the run {twice}; leave one of them out")
        csv_file.write(into / name, its_schema, rows.to_dict("records"))
    commands = [folder / "command.txt" for folder in folders]
    lines = [path.read_text(errors="replace") for path in commands if path.exists()]
    try:
        (into / "command.txt").write_text("".join(lines))
    except OSError as error:
        raise InputError(error.strerror or "not writable", output=into) from error
