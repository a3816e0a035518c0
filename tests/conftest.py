"""The header of the tests' output, and settings that all processes of a session share."""

import gc
import os
import shutil
from pathlib import Path

import hypothesis
import pytest

PROGRAMS = Path(__file__).parents[1] / ".jax_cache"
"""The folder of the programs that the tests compile on JAX."""

MOST_BYTES = 200e6
"""The size at which the folder is emptied, thirty times what a session writes."""

LONG = ["test_jax.py", "test_keras_suite.py", "test_examples.py", "test_walk_of_files.py"]
"""Files of tests that come late in the order of names, and that take longer than most."""

# The same examples in each run. A failure is then that of a change, not of chance.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")

# A program of JAX is compiled once: other processes read it, and so do later sessions, which saves
# a minute. The folder is set before any import of JAX, also for processes that the session starts.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": str(PROGRAMS),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    if sum(file.stat().st_size for file in PROGRAMS.glob("*")) > MOST_BYTES:
        shutil.rmtree(PROGRAMS, ignore_errors=True)

# Nothing is garbage yet. Without this, Python would look for it for a fifth of the time of imports.
gc.disable()


def pytest_collection_modifyitems(items):
    # Files that take long come first, so that no process works on one while the others have ended.
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.hookimpl(tryfirst=True)  # before that of pytest-xdist, whose first process collects nothing
def pytest_runtestloop():
    # The objects of the libraries and tests stay until the end. Without this, Python would look
    # through half a million of them again and again, for a tenth of the time of all tests.
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)


def pytest_report_header():
    if os.environ.get("KERAS_BACKEND") == "torch":
        return "Keras runs on PyTorch"
    return "Keras on PyTorch is skipped here: `make test-torch` tests it"
