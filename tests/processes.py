"""Runs Python programs in new processes, like a user, without the time for imports.

The process is forked from one that has imported Keras and its backend, but computed nothing.
"""

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import worker

ROOT = Path(__file__).parents[1]

PYTEST = "import sys, pytest; assert pytest.main(sys.argv[1:]) == 0"
"""The program of `pytest` with arguments."""

# For programs whose numbers and speed are of no account. XLA optimizes an operation as ever, but
# LLVM translates it without optimization, which takes less time.
FAST_COMPILATION = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def run(
    program: str,
    file: Path = ROOT / "program.py",
    arguments: Sequence[str] = (),
    backend: str | None = None,
    folder: Path = ROOT,
    **environment: str,
) -> str:
    """Run a program's text, as if it were in `file`; return its output. It must not fail.

    Args:
        program: The text. It may itself choose a backend, as a user's program does.
        file: The name of the program, and the folder from which it can import.
        arguments: What follows in `sys.argv`.
        backend: The backend of Keras, if the program does not choose it.
        folder: The working directory.
        **environment: Variables that are read after the imports of the backend, as `XLA_FLAGS` is.

    """
    choice = re.search(r'^os\.environ\["KERAS_BACKEND"\] = "(\w+)"', program, re.MULTILINE)
    backend = backend or (choice[1] if choice else "tensorflow")
    with tempfile.TemporaryDirectory() as logs:
        log = Path(logs) / "log"
        log.touch()
        call = "tests.processes:execute", program, file, arguments, folder, environment
        failures = list(worker.run(*call, backend=backend, device=None, log=log))
        printed = log.read_text()
    assert not failures, f"{failures}\n{printed[-5000:]}"
    return printed


def execute(
    program: str,
    file: Path,
    arguments: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    _: object,
) -> None:
    """Run the program in this process."""
    os.environ |= environment
    os.chdir(folder)
    sys.argv[:] = [str(file), *arguments]
    sys.path.insert(0, str(file.parent))
    exec(compile(program, file, "exec"), {"__name__": "__main__", "__file__": str(file)})
