"""The worker process, from its start to its end."""

import atexit
import contextlib
import importlib
import logging
import os
import pickle
import queue
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import compilation, signals, tensorflow_module
from benchmarks.errors import InputError, one_line
from benchmarks.worker.messages import Failure, Returned, Setting, Started

OUT_OF_MEMORY = ("ResourceExhaustedError", "RESOURCE_EXHAUSTED", "MemoryError", "OutOfMemory")
"""The words of TensorFlow, XLA and Python for lack of memory."""


def enter(connection: Connection) -> None:
    """Do the work that the parent sends on `connection`, and send the results."""
    signals.leave_to_parent()

    def send(message: Any) -> None:
        try:
            connection.send(message)
        except ConnectionError:
            os._exit(1)  # the parent has ended; `_listen` notices it, too

    send(Started(os.getpid()))
    try:
        setting: Setting = connection.recv()
    except (EOFError, OSError):
        os._exit(1)
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, heard), daemon=True).start()
    try:
        _settle(setting)
        tensorflow_module.choose()
        for library in ("absl", "tensorflow"):  # which warn about each other
            logging.getLogger(library).setLevel(logging.ERROR)
        function, arguments, listens = pickle.loads(setting.call)
        module, _, name = function.partition(":")
        ears = (heard.get,) if listens else ()
        getattr(importlib.import_module(module), name)(*arguments, *ears, send)
    except InputError as error:
        # A library of data sets pickles exceptions with their causes, and the parent would have to
        # import TensorFlow to read one.
        error.__cause__ = error.__context__ = error.__traceback__ = None
        send(Failure("error", str(error), error))
    except Exception as error:
        traceback.print_exc()
        send(failure(error))
    else:
        send(Returned())
    _end()


def _end() -> None:
    """Do what libraries have asked for at the end of the process, and end it.

    Otherwise Python would also delete all objects of the libraries, one by one. A process that was
    forked would copy the memory of these objects first, which takes longer than its start.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # as `multiprocessing` does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a terminal that is gone
            stream.flush()
    os._exit(0)


def failure(error: Exception) -> Failure:
    """Return the message for an exception that is not an error of the user."""
    out_of_memory = any(word in f"{type(error).__name__} {error}" for word in OUT_OF_MEMORY)
    return Failure("oom" if out_of_memory else "error", one_line(error))


def _settle(setting: Setting) -> None:
    os.environ.clear()
    os.environ.update(setting.environment)
    os.chdir(setting.folder)
    sys.path[:] = setting.path
    sys.argv[:] = setting.arguments
    compilation.folder = setting.programs
    # Otherwise all workers that one server forks would have the same random numbers.
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "jax" in sys.modules:  # it read the variable at its import
        platforms = os.environ.get("JAX_PLATFORMS")
        sys.modules["jax"].config.update("jax_platforms", platforms)
    if setting.log is not None:
        with setting.log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)


def _listen(connection: Connection, heard: "queue.SimpleQueue[Any]") -> None:
    """Receive the parent's messages in a thread, and end the process when the parent has ended."""
    while True:
        try:
            heard.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)
