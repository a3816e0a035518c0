"""Calls a function in its own process, and yields its messages while it runs.

Each run has its own process for three reasons: `fit` in a loop leaks, peak memory is a property of
a process, and a run that dies must not end the others. The parent never imports TensorFlow, so it
starts at once. On Linux, a server imports the libraries once, and forks a process for each run.
"""

import contextlib
import errno
import os
import pickle
import signal
import sys
import time
from collections.abc import Generator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.errors import one_line
from benchmarks.worker import programs, start
from benchmarks.worker.messages import Failure, Returned, Setting, Started

__all__ = ["Failure", "run"]

GPU_MEMORY_AS_NEEDED = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def run(
    function: str,
    *arguments: Any,
    backend: str,
    device: str | None,
    devices: int = 1,
    log: Path | None = None,
    timeout: float | None = None,
    listens: bool = False,
) -> Generator[Any, Any, None]:
    """Call `function(*arguments, send)` in a new process and yield the values that it sends.

    Args:
        function: "module:function", which is imported in the new process after the backend is set.
        *arguments: arguments of the function; they and the sent values must be picklable.
        backend: the Keras backend of the process, "tensorflow", "jax" or "torch".
        device: the device; "cpu" hides the GPUs from the process.
        devices: number of devices that XLA makes of the CPU if there is no GPU.
        log: file for the output of the process and its libraries; None prints it on the terminal.
        timeout: seconds after which the process is killed; None lets it run.
        listens: whether the call is `function(*arguments, receive, send)`. `receive()` then waits
            for the next value that is sent to this generator.

    Yields:
        The values that the function sends; at the end a `Failure` if it raised, died or took too
        long.
    """
    setting = Setting(
        environment={**os.environ, **_variables(backend, device, devices)},
        folder=Path.cwd(),
        path=sys.path,
        arguments=sys.argv,
        log=log,
        programs=programs.folder(backend),
        call=pickle.dumps((function, arguments, listens)),
    )
    process = start.process(backend)
    try:
        yield from _messages(process, setting, timeout)
    finally:
        process.kill()


def _variables(backend: str, device: str | None, devices: int) -> dict[str, str]:
    variables = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Several processes may share a GPU, so none takes all of its memory, unless the user wants it.
    for name, value in GPU_MEMORY_AS_NEEDED.items():
        variables[name] = os.environ.get(name, value)
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        variables["KERAS_TORCH_DEVICE"] = "cpu"
    if devices > 1:
        flag = f"--xla_force_host_platform_device_count={devices}"
        variables["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    return variables


def _messages(
    process: start.Process, setting: Setting, timeout: float | None
) -> Generator[Any, Any, None]:
    connection = process.connection
    deadline = None if timeout is None else time.monotonic() + timeout
    exit_code: int | OSError | None = None
    has_returned = False
    oom_kills = machine.oom_kills()
    _send(process, setting)
    waited_for = [connection, process.ended]
    while waited_for:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        ready = wait(waited_for, left)
        if not ready:
            yield Failure("timeout", f"took longer than {timeout:g} seconds")
            return
        if connection not in ready:
            exit_code = process.exit_code()
            if exit_code is not None:
                break
            waited_for.remove(process.ended)  # the server has ended, but the process continues
            continue
        try:
            message = connection.recv()
        except (EOFError, OSError):
            waited_for.remove(connection)
            continue
        if isinstance(message, Started):
            process.pid = message.pid
        elif isinstance(message, Returned):
            has_returned = True
        else:
            answer = yield message
            if isinstance(message, Failure):
                return  # without waiting for the end, because JAX takes 20 seconds to abort
            if answer is not None:
                _send(process, answer)
    if exit_code or not has_returned:
        yield _death(exit_code, was_for_memory=machine.oom_kills() > oom_kills)


def _send(process: start.Process, value: Any) -> None:
    # If the process has died, its last message or its exit code says why.
    with contextlib.suppress(OSError):
        process.connection.send(value)


def _death(exit_code: int | OSError | None, was_for_memory: bool = False) -> Failure:
    if exit_code is None:
        return Failure("error", "ended together with the process that starts all others")
    if isinstance(exit_code, OSError):
        no_memory = exit_code.errno == errno.ENOMEM
        return Failure("oom" if no_memory else "error", f"did not start: {one_line(exit_code)}")
    if exit_code == -signal.SIGKILL and was_for_memory:
        return Failure("oom", "killed by SIGKILL: Linux says that the memory was used up")
    if exit_code < 0:
        return Failure("error", f"killed by {signal.Signals(-exit_code).name}")
    return Failure("error", f"ended with exit code {exit_code}")
