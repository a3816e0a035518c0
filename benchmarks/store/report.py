"""The files of a folder of results; each file is read only once."""

from pathlib import Path

import pandas as pd

from benchmarks.store import csv_file, schema


class Report:
    """The rows of the files in a folder, for several readers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, pd.DataFrame] = {}

    def has(self, name: str) -> bool:
        """Say whether there is a file of this name."""
        return (self.folder / name).exists()

    def rows(self, name: str) -> pd.DataFrame:
        """Return the rows of a CSV file, or no rows if it does not exist. Do not change them.

        Raises:
            InputError: the file does not have its schema.
        """
        if name not in self._read:
            self._read[name] = csv_file.read_if_there(self.folder / name, schema.FILES[name])
        return self._read[name]
