"""Which runs have a result in a folder, and who may write into it."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import filelock
import pandas as pd

from benchmarks.errors import InputError
from benchmarks.run import RunConfig
from benchmarks.store import csv_file, schema

LOCK = "sweep.lock"


def read_runs(folder: Path) -> pd.DataFrame:
    """Read the runs in `folder`; none, if none has ended yet."""
    return csv_file.read_if_there(folder / "runs.csv", schema.RUNS)


def unfinished(configs: Iterable[RunConfig], folder: Path) -> list[RunConfig]:
    """Return those without a result in `folder`: not run yet, interrupted, or failed."""
    runs = read_runs(folder)
    done = set(runs["run_id"][runs["status"].isin(schema.RESULTS)])
    return [config for config in configs if config.run_id not in done]


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other sweeps out of `folder`, which is made if it is not there.

    The hold ends with the process, however that ends.

    Raises:
        InputError: another sweep holds it, or it cannot be written.
    """
    lock = filelock.FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            "another sweep is at work in it; wait for its end, or name another folder",
            output=folder,
        ) from None
    except OSError as error:
        raise InputError(error.strerror or "not writable", output=folder) from error
    try:
        yield
    finally:
        lock.release()
