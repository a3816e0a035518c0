"""Which runs have a result in a folder, and who does the others."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import filelock
import pandas as pd

from benchmarks.errors import InputError
from benchmarks.reports import csv_file, schema
from benchmarks.run import RunConfig


def read_runs(folder: Path) -> pd.DataFrame:
    """Read the runs in `folder`; none, if none has ended yet."""
    path = folder / "runs.csv"
    return (
        csv_file.read(path, schema.RUNS) if path.exists() else pd.DataFrame(columns=[*schema.RUNS])
    )


def unfinished(configs: Iterable[RunConfig], folder: Path) -> list[RunConfig]:
    """Return those without a result in `folder`: not run yet, interrupted, or failed."""
    runs = read_runs(folder)
    done = set(runs["run_id"][runs["status"].isin(schema.RESULTS)])
    return [config for config in configs if config.run_id not in done]


@contextlib.contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Hold `path` for this process, and say whether no other holds it.

    The claim ends with the process, however that ends.
    """
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        lock.release()
