"""Writes weights completely or not at all, even if the disk gets full."""

import math
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.errors import one_line

SPARE_BYTES = 2**20
"""The bytes beside the arrays that HDF5 and the reports need."""


def write(path: Path, variables: Iterable[Any], write_to: Callable[[Path], None]) -> str:
    """Let `write_to` write a file or a folder beside `path`, and replace `path` by it.

    Keras's writer of weights ends the process when the disk gets full. So the free space is checked
    before.

    Args:
        path: the final path; an old file or folder stays there until the new one is complete.
        variables: variables that are written.
        write_to: function that writes to the path that it is given.

    Returns:
        The reason in words if it could not be written, else empty. No part is left after a failure.
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
    except Exception as error:  # HDF5 has its own errors
        return f"{path.name}: {one_line(error)}"
    finally:
        _remove(new)
        _remove(old)
    return ""


def _bytes(variable: Any) -> int:
    bits = re.search(r"\d+", variable.dtype)  # a bool has no number of bits
    return math.prod(variable.shape) * (int(bits[0]) // 8 if bits else 1)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
