"""What a reader of the tests' output is to know, and what all processes of a session share."""

import os
import shutil
import tempfile

# Every process on JAX compiles Keras's initializers: one compiles a program, the others read it.
# This stands before any import of JAX; a process that the session starts finds the folder set.
if "JAX_COMPILATION_CACHE_DIR" in os.environ:
    own_cache = None
else:
    own_cache = tempfile.mkdtemp(prefix="jax-programs-")
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": own_cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def pytest_unconfigure():
    if own_cache:
        shutil.rmtree(own_cache, ignore_errors=True)


def pytest_report_header():
    if os.environ.get("KERAS_BACKEND") == "torch":
        return "Keras runs on PyTorch"
    return "Keras on PyTorch is skipped here: `make test-torch` tests it"
