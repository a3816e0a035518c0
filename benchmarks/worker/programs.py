"""The folder for the programs that JAX's workers of this process compile to build their models."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_folders: dict[int, Path] = {}
"""By the process that they belong to: one that was forked has its own."""


def folder(backend: str) -> Path | None:
    """Return the folder, which is there for as long as this process is.

    None: another backend than JAX needs none, or there is no place for it.
    """
    if backend != "jax":
        return None
    process = os.getpid()
    if process not in _folders:
        try:
            _folders[process] = Path(tempfile.mkdtemp(prefix="benchmarks-programs-"))
        except OSError:
            return None
    return _folders[process]


@atexit.register
def _remove() -> None:
    if (mine := _folders.pop(os.getpid(), None)) is not None:
        shutil.rmtree(mine, ignore_errors=True)
