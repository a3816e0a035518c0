"""Whether this process has TensorFlow, which takes memory, threads and GPUs where it is."""

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Iterator
from typing import Any


class _Hidden(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Fails to import it. Not `None` in `sys.modules`: TFDS takes that for a loaded module."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name == "tensorflow" else None

    def exec_module(self, module: Any) -> None:
        raise ModuleNotFoundError(
            "Keras's backend is another here, and such a process has no TensorFlow",
            name="tensorflow",
        )


_HIDDEN = _Hidden()


def hide() -> None:
    """Let imports fail: on any backend, Keras and TFDS import it by the way if they can."""
    if _HIDDEN not in sys.meta_path:
        sys.meta_path.insert(0, _HIDDEN)


def load() -> None:
    """Import it quietly, also if it was hidden.

    If Keras's backend is another, it leaves the GPUs to that.
    """
    if _HIDDEN in sys.meta_path:
        sys.meta_path.remove(_HIDDEN)
    with _quiet():
        import tensorflow as tf

    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        tf.config.set_visible_devices([], "GPU")


def choose() -> None:
    """Import it if it is Keras's backend; else hide it."""
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        load()
    else:
        hide()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what TensorFlow's C++ prints on import, whatever the log level: it says nothing."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
