"""Weights on a disk that may be full: they are written whole, or not at all."""

import math
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.errors import one_line

SPARE_BYTES = 2**20
"""Beside the arrays: what HDF5 adds, and what the reports need."""


def write(path: Path, variables: Iterable[Any], write_to: Callable[[Path], None]) -> str:
    """Let `write_to` write into a file or a folder beside `path`, and put that in its place.

    Keras's writer of weights ends the process when the disk gets full: the room is looked up
    before.

    Args:
        path: where it is to be; what is there stays until the new one is whole.
        variables: what is written.
        write_to: takes the path of the new one.

    Returns:
        In words why it could not be written; empty if it was. Nothing is left of it then.
    """
    new, old = path.with_name(f".new-{path.name}"), path.with_name(f".old-{path.name}")
    for left in (new, old):
        _remove(left)
    needed = sum(map(_bytes, variables)) + SPARE_BYTES
    try:
        free = shutil.disk_usage(path.parent).free
        if free < needed:
            return f"{path.name} needs {needed / 1e6:.1f} MB, and {free / 1e6:.1f} MB are free"
        write_to(new)
        if path.is_dir():
            path.rename(old)
        new.replace(path)
    except Exception as error:  # HDF5 has errors of its own
        return f"{path.name}: {one_line(error)}"
    finally:
        _remove(new)
        _remove(old)
    return ""


def _bytes(variable: Any) -> int:
    bits = re.search(r"\d+", variable.dtype)  # of a bool there are none
    return math.prod(variable.shape) * (int(bits[0]) // 8 if bits else 1)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
