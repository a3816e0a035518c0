"""The one who writes what a sweep has found, wherever it was run."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.errors import InputError
from benchmarks.store import csv_file, schema
from benchmarks.store.csv_file import Row


class Writer:
    """Puts runs that have ended into runs.csv and epochs.csv of a folder that the sweep holds.

    Rows of a run that are there from before, of a failure or of a sweep that was
    killed in between, are replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs, self._epochs = folder / "runs.csv", folder / "epochs.csv"
        self._before = {
            run_id
            for path, its_schema in ((self._runs, schema.RUNS), (self._epochs, schema.EPOCHS))
            for run_id in csv_file.read_if_there(path, its_schema)["run_id"]
        }

    def write(self, run: Row, epochs: Sequence[Row]) -> None:
        """Write the rows, those of the epochs first: a run in runs.csv is complete in both."""
        run_id = run["run_id"]
        if run_id in self._before:
            for path in (self._runs, self._epochs):
                csv_file.remove(path, [run_id])
            self._before.remove(run_id)
        csv_file.append(self._epochs, schema.EPOCHS, epochs)
        csv_file.append(self._runs, schema.RUNS, [run])
        if run["status"] in schema.RESULTS:
            shutil.rmtree(self.folder / f"{run_id}.backup", ignore_errors=True)

    def save(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Put the files of a run that was done elsewhere in place of those from before."""
        try:
            (self.folder / f"{run_id}.log").unlink(missing_ok=True)
            for name, content in files.items():
                (self.folder / name).write_bytes(content)
        except OSError as error:
            raise InputError(error.strerror or "not writable", output=self.folder) from error
