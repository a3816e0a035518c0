"""A function in a process of its own, and what it says while it runs.

Each run has its own process, because `fit` in a loop leaks, because peak
memory is a property of a process, and because a run that dies must not take
the others with it. The parent never imports TensorFlow: it starts at once.
"""

import dataclasses
import importlib
import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Generator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import tensorflow_module
from benchmarks.errors import InputError, one_line

OUT_OF_MEMORY = ("ResourceExhaustedError", "RESOURCE_EXHAUSTED", "MemoryError", "OutOfMemory")
"""How TensorFlow, XLA and Python call it."""

GPU_MEMORY_AS_NEEDED = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


@dataclasses.dataclass(frozen=True)
class Failure:
    """The last message of a worker that did not get to its end."""

    status: str
    """"oom", "error" or "timeout"."""
    error: str
    """One line."""
    input_error: InputError | None = dataclasses.field(default=None, compare=False)
    """If it is the user who can put it right."""

    def as_input_error(self) -> InputError:
        """Return what the parent is to raise when it cannot go on."""
        return self.input_error or InputError(self.error)


def run(
    function: str,
    *arguments: Any,
    backend: str,
    device: str | None,
    devices: int = 1,
    log: Path | None = None,
    timeout: float | None = None,
) -> Generator[Any, None, None]:
    """Call `function(*arguments, send)` in a new process and yield what it sends.

    Args:
        function: "module:function". It is imported in the new process, once
            the backend is chosen there.
        *arguments: passed on; they must be picklable, as must what is sent.
        backend: the Keras backend of the process, "tensorflow" or "jax".
        device: "cpu" hides the GPUs from the process.
        devices: how many devices XLA is to make of the CPU, if there is no GPU.
        log: file for what the process and the libraries in it print; None
            leaves that on the terminal.
        timeout: seconds after which the process is killed; None lets it run.

    Yields:
        What the function sends; at the end a `Failure` if it raised, died or
        took too long.
    """
    settings = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Several processes may share a GPU: none takes all of its memory at once, unless asked to.
    for name, value in GPU_MEMORY_AS_NEEDED.items():
        settings[name] = os.environ.get(name, value)
    if device == "cpu":
        settings |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    if devices > 1:
        flag = f"--xla_force_host_platform_device_count={devices}"
        settings["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_enter, args=(function, arguments, settings, log, sender), daemon=True
    )
    process.start()
    sender.close()  # so that the end of the process is the end of the messages
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not receiver.poll(left):
                yield Failure("timeout", f"took longer than {timeout:g} seconds")
                return
            try:
                message = receiver.recv()
            except EOFError:
                break
            yield message
            if isinstance(message, Failure):
                return  # of a process that is past help: JAX's takes 20 seconds to abort
        process.join()
        if process.exitcode:
            yield _death(process.exitcode)
    finally:
        process.kill()
        process.join()
        receiver.close()


def _failure(error: Exception) -> Failure:
    out_of_memory = any(word in f"{type(error).__name__} {error}" for word in OUT_OF_MEMORY)
    return Failure("oom" if out_of_memory else "error", one_line(error))


def _death(exit_code: int) -> Failure:
    if exit_code == -signal.SIGKILL:
        return Failure("oom", "killed by SIGKILL, as Linux does when the memory is used up")
    if exit_code < 0:
        return Failure("error", f"killed by {signal.Signals(-exit_code).name}")
    return Failure("error", f"ended with exit code {exit_code}")


def _enter(
    function: str,
    arguments: tuple[Any, ...],
    settings: dict[str, str],
    log: Path | None,
    sender: Connection,
) -> None:
    """Be the process, from its first line to its last."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(settings)
    if log is not None:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    try:
        if settings["KERAS_BACKEND"] == "tensorflow":
            tensorflow_module.load()
        else:
            tensorflow_module.hide()
        logging.getLogger("absl").setLevel(logging.ERROR)
        module, _, name = function.partition(":")
        getattr(importlib.import_module(module), name)(*arguments, sender.send)
    except InputError as error:
        # A data set's library lets exceptions be pickled with their causes: the parent would have
        # to import TensorFlow to read one.
        error.__cause__ = error.__context__ = error.__traceback__ = None
        sender.send(Failure("error", str(error), error))
    except Exception as error:
        traceback.print_exc()
        sender.send(_failure(error))


def _end_with_parent() -> None:
    """Be the thread that lets no process work on when nobody is left to hear its result."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a worker calls this"
    parent.join()
    os._exit(1)
