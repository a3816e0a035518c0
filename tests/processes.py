"""Runs Python programs in new processes, like a user, without the time for imports.

The process is forked from one that has imported Keras and its backend, but computed nothing.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

from benchmarks import worker

ROOT = Path(__file__).parents[1]


def run(program: str, file: Path = ROOT / "program.py") -> str:
    """Run a program's text, as if it were in `file`; return its output. It must not fail."""
    choice = re.search(r'^os\.environ\["KERAS_BACKEND"\] = "(\w+)"', program, re.MULTILINE)
    backend = choice[1] if choice else "tensorflow"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.touch()
        call = "tests.processes:execute", program, file
        failures = list(worker.run(*call, backend=backend, device=None, log=log))
        printed = log.read_text()
    assert not failures, f"{failures}\n{printed[-3000:]}"
    return printed


def execute(program: str, file: Path, _: object) -> None:
    """Run the program in this process."""
    os.chdir(ROOT)
    sys.argv[:] = [str(file)]
    sys.path.insert(0, str(file.parent))
    exec(compile(program, file, "exec"), {"__name__": "__main__", "__file__": str(file)})
