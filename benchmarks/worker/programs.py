"""The folder of programs that JAX workers of this process compile before they train."""

import atexit
import os
import shutil
import tempfile
import threading
from pathlib import Path

_making = threading.Lock()

_folders: dict[int, Path] = {}
"""The folder of each process, by its id; a forked process has its own."""


def folder(backend: str) -> Path | None:
    """Return the folder, which exists as long as this process.

    None if the backend is not JAX, because only JAX needs the folder. None also if the folder
    cannot be made.
    """
    if backend != "jax":
        return None
    process = os.getpid()
    with _making:
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
