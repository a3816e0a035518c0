"""Decides whether this process loads TensorFlow, which takes memory, threads and GPUs."""

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Iterator
from typing import Any


class _Hidden(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes an import of TensorFlow fail.

    `None` in `sys.modules` would not do, because TFDS takes it for a loaded module.
    """

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name == "tensorflow" else None

    def exec_module(self, module: Any) -> None:
        raise ModuleNotFoundError(
            "Keras has another backend here, and this process has no TensorFlow",
            name="tensorflow",
        )


_HIDDEN = _Hidden()


def hide() -> None:
    """Make imports of TensorFlow fail, because Keras and TFDS try to import it on any backend."""
    if _HIDDEN not in sys.meta_path:
        sys.meta_path.insert(0, _HIDDEN)


def load() -> None:
    """Import TensorFlow quietly, even if it was hidden.

    If Keras has another backend, TensorFlow sees no GPU: the GPUs belong to that backend.
    """
    if _HIDDEN in sys.meta_path:
        sys.meta_path.remove(_HIDDEN)
    with _quiet():
        import tensorflow as tf

    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        tf.config.set_visible_devices([], "GPU")


def choose() -> None:
    """Import TensorFlow if it is Keras's backend; else hide it."""
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        load()
    else:
        hide()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard what TensorFlow's C++ code prints on import, at any log level."""
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
