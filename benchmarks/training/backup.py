"""Backups, with which an interrupted run continues from the end of an epoch."""

import json
import time
from pathlib import Path
from typing import Any

import keras

from benchmarks import machine
from benchmarks.training import disk, processes
from benchmarks.training.monitor import Monitor

SECONDS = 10.0
"""The least number of seconds between two backups."""

STATE = "state.json"


class Backup(keras.callbacks.BackupAndRestore):
    """Keras's backup of weights, optimizer and epoch, with the measurements until then.

    This must be the last callback, so that the clock of the epoch has stopped when it writes. A
    backup is made in a new folder, which then replaces the old one. So the files of a backup belong
    together, even if the process is killed.
    """

    def __init__(
        self, folder: Path, monitor: Monitor, plateau: Any, epochs: int, together: bool
    ) -> None:
        """Take the `ReduceLROnPlateau` of the run, or None, and its number of epochs.

        Processes that train together write at the same time, each into its own folder, because all
        must take part when distributed variables are read.
        """
        super().__init__(str(folder), delete_checkpoint=False)
        self._folder = folder
        self._monitor = monitor
        self._plateau = plateau
        self._epochs = epochs
        self._together = together
        self.problem = ""
        """The reason in words if the last backup could not be written, else empty."""
        self._last = time.monotonic()
        file = folder / STATE
        self._found = json.loads(file.read_text()) if file.exists() else None
        self.earlier_seconds = float((self._found or {}).get("wall_seconds", 0))
        """The seconds of the earlier processes until the backup; 0 if there is none."""

    def restore_epochs(self) -> None:
        """Give the earlier epochs to the monitor. Call this before `fit`, which reads the data."""
        if self._found is not None:
            self._monitor.go_on(self._found["epochs"])

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Restore weights, optimizer and epoch, if there is a backup."""
        super().on_train_begin(logs)
        if self._found is not None and self._plateau is not None:
            vars(self._plateau).update(self._found["plateau"])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Make a backup, unless the run is at its end or the last backup is recent."""
        at_end = epoch + 1 == self._epochs or self.model.stop_training
        is_due = not at_end and time.monotonic() - self._last >= SECONDS
        if self._together:
            is_due = processes.share(is_due)
        if is_due:
            self._write(epoch)
            self._last = time.monotonic()

    def _write(self, epoch: int) -> None:
        plateau = {} if self._plateau is None else vars(self._plateau)
        kept = ("best", "wait", "cooldown_counter")
        state = {
            "epochs": self._monitor.rows,
            "wall_seconds": self.earlier_seconds + machine.process_seconds(),
            "plateau": {name: float(plateau[name]) for name in kept if name in plateau},
        }

        def write_to(folder: Path) -> None:
            folder.mkdir(parents=True)
            (folder / STATE).write_text(json.dumps(state))
            writer = keras.callbacks.BackupAndRestore(str(folder))
            writer.set_model(self.model)
            writer.on_epoch_end(epoch)

        variables = [*self.model.variables, *self.model.optimizer.variables]
        self.problem = disk.write(self._folder, variables, write_to)
