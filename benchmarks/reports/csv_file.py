"""A CSV file of one schema: rows appended whole, read back with types."""

import contextlib
import errno
import io
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pandas as pd

from benchmarks.errors import InputError, one_line
from benchmarks.reports.schema import STATUSES, Schema

Row = dict[str, Any]
"""Column name to value; a column that was not measured is None or left out."""

LONGEST_ROW = 2**16
"""Bytes. A row has texts of a line each; a torn one is looked for in that much of the file."""


def append(path: Path, schema: Schema, rows: Iterable[Row]) -> None:
    """Append `rows` to the CSV file at `path`, with the header if the file is new.

    All rows are on the disk when this returns, or none of them is in the file.
    The torn last line that a crash may have left is cut off first. A row is
    one line: line breaks in a text become spaces.

    Raises:
        ValueError: a row has a column that the schema has not.
        InputError: the file cannot be written, or the disk is full.
    """
    rows = [
        {key: " ".join(v.split("\n")) if isinstance(v, str) else v for key, v in row.items()}
        for row in rows
    ]
    unknown = {column for row in rows for column in row} - set(schema)
    if unknown:
        raise ValueError(f"{path.name} has no column {', '.join(sorted(unknown))}")
    frame = pd.DataFrame(rows, columns=list(schema)).astype(dict(schema))
    with _writing(path), path.open("a+b", buffering=0) as file:
        file.seek(-min(file.seek(0, os.SEEK_END), LONGEST_ROW), os.SEEK_END)
        size = file.tell() + len(_whole_lines(file.read()))
        # Six digits are more than any measurement here is good for.
        text = frame.to_csv(index=False, header=size == 0, float_format="%.6g").encode()
        file.truncate(size)
        try:
            if file.write(text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)
            raise


def remove(path: Path, run_ids: Collection[str]) -> None:
    """Remove the rows of these runs from the CSV file at `path`, if it has any.

    The file is replaced as a whole: at every moment it is the old or the new one.

    Raises:
        InputError: the file cannot be read or written, or the disk is full.
    """
    if not path.exists():
        return
    with _writing(path):
        lines = _whole_lines(path.read_bytes()).splitlines(keepends=True)
        # run_id is the first column, and needs no quotes.
        kept = [line for line in lines if line.split(b",", 1)[0].decode() not in run_ids]
        if len(kept) == len(lines):
            return
        _replace(path, b"".join(kept))


def write(path: Path, schema: Schema, rows: Iterable[Row]) -> None:
    """Make `rows` the content of the CSV file at `path`: at every moment it is the old or the new.

    Raises:
        InputError: the file cannot be written, or the disk is full.
    """
    frame = pd.DataFrame(list(rows), columns=list(schema)).astype(dict(schema))
    with _writing(path):
        _replace(path, frame.to_csv(index=False, float_format="%.6g").encode())


def read(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a CSV file that `append` wrote, without the torn last line that a crash may have left.

    Raises:
        InputError: the file is not there, or is not one of this schema.
    """
    try:
        content = _whole_lines(path.read_bytes())
        if not content:  # as a crash in the first line leaves it
            return pd.DataFrame(columns=list(schema)).astype(dict(schema))
        frame = pd.read_csv(io.BytesIO(content), dtype=dict(schema))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {one_line(error)}") from error
    if not set(frame.columns) <= set(schema):
        raise InputError(f"{path}: expected the columns {', '.join(schema)}")
    frame = frame.reindex(columns=list(schema)).astype(dict(schema))
    if "status" in schema and not frame["status"].dropna().isin(STATUSES).all():
        raise InputError(f"{path}: a status is not one of {', '.join(STATUSES)}")
    return frame


def read_if_there(path: Path, schema: Schema) -> pd.DataFrame:
    """Read as `read` does; without the file, there are no rows."""
    if path.exists():
        return read(path, schema)
    return pd.DataFrame(columns=list(schema)).astype(dict(schema))


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Keep other processes from writing to the reports in the folder of `path`."""
    try:
        with filelock.FileLock(path.parent / ".lock"):
            yield
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
