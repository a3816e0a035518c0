"""A CSV file of one schema: complete rows are appended, and read with their types.

A process must hold the folder (`folder.hold`) to write, so only one writes at a time.
"""

import contextlib
import csv
import errno
import functools
import io
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from benchmarks.errors import InputError, one_line
from benchmarks.store.schema import LATER, STATUSES, Schema

Row = dict[str, Any]
"""A mapping from column name to value; an unmeasured column is None or missing."""

TAIL_BYTES = 2**16
"""The bytes that are read at a time from the end of a file to find its last complete row."""


def append(path: Path, schema: Schema, rows: Iterable[Row]) -> None:
    """Append `rows` to the CSV file at `path`, with the header if the file is new.

    All rows are on the disk when this returns. If it raises, the file has not changed. A writer
    that is killed leaves complete rows and perhaps an incomplete one. Readers ignore the incomplete
    row, and the next writer removes it. A file of an older schema is first converted to this
    schema.

    Raises:
        ValueError: a row has a column that is not in the schema.
        InputError: the file cannot be written, or the disk is full.
    """
    frame = _frame(path, schema, rows)
    with _writing(path):
        if path.exists() and _header(path) not in (list(schema), [""]):
            _replace(path, _text(read(path, schema)))
        with path.open("a+b", buffering=0) as file:
            size = _whole_size(file)
            text = _text(frame, header=size == 0)
            file.truncate(size)
            try:
                if file.write(text) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise


def remove(path: Path, run_ids: Collection[str]) -> None:
    """Remove the rows of these runs from the CSV file at `path`, if there are any.

    The file is replaced as a whole, so a reader sees either the old file or the new one.

    Raises:
        InputError: the file cannot be read or written, or the disk is full.
    """
    if not path.exists():
        return
    with _writing(path):
        lines = _whole_lines(path.read_bytes()).split(b"\n")
        # run_id is the first column, and needs no quotes.
        kept = [line for line in lines if line.split(b",", 1)[0].decode() not in run_ids]
        if len(kept) < len(lines):
            _replace(path, b"\n".join(kept))


def write(path: Path, schema: Schema, rows: Iterable[Row]) -> None:
    """Make `rows` the content of the CSV file at `path`, which is replaced as a whole.

    Raises:
        ValueError: a row has a column that is not in the schema.
        InputError: the file cannot be written, or the disk is full.
    """
    frame = _frame(path, schema, rows)
    with _writing(path):
        _replace(path, _text(frame))


def read(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a CSV file of `append`, without an incomplete last line that a crash has left.

    A row with too few fields, which was cut in the middle, is ignored too. A column that an older
    version did not write has the value of `schema.LATER`, or is blank.

    Raises:
        InputError: the file does not exist, or does not have this schema.
    """
    try:
        content = _whole_rows(_whole_lines(path.read_bytes()))
        if not content:  # after a crash in the first line
            return _empty(schema)
        # Only a blank is a missing value, because a model may have the name None.
        frame = pd.read_csv(
            io.BytesIO(content), dtype=dict(schema), keep_default_na=False, na_values=[""]
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {one_line(error)}") from error
    if not set(frame.columns) <= set(schema):
        raise InputError(f"{path}: expected the columns {', '.join(schema)}")
    if list(frame.columns) != list(schema):
        columns = {
            name: frame[name] if name in frame else pd.Series(LATER.get(name), frame.index, kind)
            for name, kind in schema.items()
        }
        frame = pd.DataFrame(columns)
    if "status" in schema and not frame["status"].dropna().isin(STATUSES).all():
        raise InputError(f"{path}: a status is not one of {', '.join(STATUSES)}")
    return frame


def read_if_there(path: Path, schema: Schema) -> pd.DataFrame:
    """Read as `read` does; if the file does not exist, return no rows."""
    if path.exists():
        return read(path, schema)
    return _empty(schema)


def check_not_blank(rows: pd.DataFrame, name: str, columns: Sequence[str]) -> None:
    """Check that every row has values in these columns.

    Args:
        rows: rows of a CSV file.
        name: name of the file.
        columns: columns that must not be blank.

    Raises:
        InputError: a value is blank.
    """
    for column in columns:
        if rows[column].isna().any():
            raise InputError(f"{name}: row {rows[column].isna().argmax() + 1} has no {column}")


def _frame(path: Path, schema: Schema, rows: Iterable[Row]) -> pd.DataFrame:
    """Make a frame of `rows`. Each becomes one line, so line breaks in texts become spaces."""
    rows = [
        {key: _line(value) if isinstance(value, str) else value for key, value in row.items()}
        for row in rows
    ]
    unknown = {column for row in rows for column in row} - set(schema)
    if unknown:
        raise ValueError(f"{path.name} has no column {', '.join(sorted(unknown))}")
    # A column at a time: `astype` of a whole frame takes several times as long.
    columns = {
        name: pd.array([row.get(name) for row in rows], kind) for name, kind in schema.items()
    }
    return pd.DataFrame(columns)


def _empty(schema: Schema) -> pd.DataFrame:
    return _empty_of(tuple(schema.items())).copy()


@functools.lru_cache(maxsize=16)  # a folder lacks most files, and many columns take long to make
def _empty_of(columns: tuple[tuple[str, str], ...]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.array([], kind) for name, kind in columns})


def _line(text: str) -> str:
    # A file name may have bytes that are not text.
    return _BREAKS.sub(" ", text.encode(errors="backslashreplace").decode())


_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def _text(frame: pd.DataFrame, header: bool = True) -> bytes:
    # No measurement here has more than six reliable digits.
    text: str = frame.to_csv(index=False, header=header, float_format="%.6g")
    return text.encode()


def _header(path: Path) -> list[str]:
    with path.open("rb") as file:
        return _whole_lines(file.readline()).decode(errors="replace").rstrip("\r\n").split(",")


def _whole_size(file: BinaryIO) -> int:
    """Return how many bytes of the file are complete lines."""
    size = file.seek(0, os.SEEK_END)
    while size > 0:
        begin = max(size - TAIL_BYTES, 0)
        file.seek(begin)
        found = len(_whole_lines(file.read(size - begin)))
        if found:
            return begin + found
        size = begin
    return 0


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _whole_rows(content: bytes) -> bytes:
    """Return the header and the rows with the same number of fields; each is one line."""
    lines = content.splitlines(keepends=True)
    fields = _fields(lines[0]) if lines else 0
    return b"".join(line for line in lines if _fields(line) == fields)


def _fields(line: bytes) -> int:
    """Return the number of fields of a line, or -1 if it ends inside quotes."""
    if b'"' not in line:
        return line.count(b",") + 1
    try:
        return len(next(csv.reader([line.decode(errors="replace")], strict=True)))
    except csv.Error:
        return -1


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise an `InputError` with the name of a file that cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
