"""Writes the results of a sweep."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.errors import InputError
from benchmarks.store import csv_file, schema
from benchmarks.sweeps.place import RunResult


class Writer:
    """Writes finished runs into runs.csv and epochs.csv of a folder that the sweep holds.

    Earlier rows of a run, from a failure or from a sweep that was killed, are replaced.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs, self._epochs = folder / "runs.csv", folder / "epochs.csv"
        self._before = {
            run_id
            for path, its_schema in ((self._runs, schema.RUNS), (self._epochs, schema.EPOCHS))
            for run_id in csv_file.read_if_there(path, its_schema)["run_id"]
        }

    def write(self, result: RunResult) -> None:
        """Write the rows and files, epochs first, so that a run in runs.csv is complete.

        Raises:
            InputError: the folder cannot be written.
        """
        run_id = result.config.run_id
        if result.files is not None:
            self._save(run_id, result.files)
        if run_id in self._before:
            for path in (self._runs, self._epochs):
                csv_file.remove(path, [run_id])
            self._before.remove(run_id)
        backup = self._folder / f"{run_id}.backup"
        try:
            self._append(result)
        except InputError:
            if result.status not in schema.RESULTS or not backup.exists():
                raise
            shutil.rmtree(backup, ignore_errors=True)  # makes room if the disk is full
            csv_file.remove(self._epochs, [run_id])
            self._append(result)
        if result.status in schema.RESULTS:
            shutil.rmtree(backup, ignore_errors=True)

    def _append(self, result: RunResult) -> None:
        csv_file.append(self._epochs, schema.EPOCHS, result.epochs)
        csv_file.append(self._runs, schema.RUNS, [result.row()])

    def _save(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Replace earlier files of a run by its files from another machine."""
        try:
            (self._folder / f"{run_id}.log").unlink(missing_ok=True)
            for name, content in files.items():
                (self._folder / name).write_bytes(content)
        except OSError as error:
            raise InputError(error.strerror or "not writable", output=self._folder) from error
