"""Python programs in processes of their own, as a user starts them, without the wait for imports.

The process is forked from one that has imported Keras and its backend, and computed nothing.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

from benchmarks import worker

ROOT = Path(__file__).parents[1]


def run(program: str, file: Path = ROOT / "program.py") -> str:
    """Run a program's text, as if it stood in `file`; return what it prints. It must end well."""
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
    """Be the program."""
    os.chdir(ROOT)
    sys.argv[:] = [str(file)]
    sys.path.insert(0, str(file.parent))
    exec(compile(program, file, "exec"), {"__name__": "__main__", "__file__": str(file)})
