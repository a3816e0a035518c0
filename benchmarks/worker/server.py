"""The server: a process that imports the libraries of the runs, and forks workers on request.

The server computes nothing. So each worker makes its own state of a library (threads, devices,
random numbers) at the first use, as if the worker had imported the library itself.
"""

import contextlib
import gc
import importlib
import os
import shutil
import signal
import socket
import sys
import warnings
from multiprocessing.connection import Connection, wait

from benchmarks import signals, tensorflow_module
from benchmarks.worker import pages


def serve(handle: int, programs: str) -> Connection:
    """Run as the server until the parent has ended; return in each worker.

    Args:
        handle: file descriptor of a socket. For each worker, the parent sends a byte on it, with
            the descriptors of the worker's connection, of a connection for its exit code, and of
            its standard output and standard error.
        programs: folder to remove if the parent has ended without removing it; "" is none.

    Returns:
        The worker's connection with the parent.
    """
    signals.leave_to_parent()
    parent = socket.socket(fileno=handle)
    gc.disable()  # while objects are only made, looking for garbage takes a fifth of the time
    _import()
    gc.collect()
    # Otherwise Python's garbage collector would look through all objects of the libraries in the
    # middle of a worker's work, and so copy the memory of the server.
    gc.freeze()
    gc.enable()
    resident = pages.resident()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    workers: dict[int, Connection] = {}
    while True:
        ready = wait([parent, woken])
        if woken in ready:
            os.read(woken, 4096)
            _tell_exit_codes(workers)
        if parent not in ready:
            continue
        request, descriptors, *_ = socket.recv_fds(parent, 1, 4)
        if not request:
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if programs:
                shutil.rmtree(programs, ignore_errors=True)
            os._exit(0)
        connection, ended = (Connection(descriptor) for descriptor in descriptors[:2])
        printed = descriptors[2:]
        try:
            pid = _fork()
        except OSError as error:
            _tell(ended, error)
        else:
            workers[pid] = ended
        if 0 in workers:  # this is the new process
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            parent.close()
            for other in workers.values():
                other.close()
            for descriptor in (woken, wake):
                os.close(descriptor)
            _print_to(*printed)
            pages.touch(resident)
            return connection
        connection.close()
        for descriptor in printed:
            os.close(descriptor)


def _import() -> None:
    # A failed import fails again in a worker, which reports it.
    with contextlib.suppress(Exception):
        tensorflow_module.choose()
        importlib.import_module("benchmarks.worker.needed")


def _fork() -> int:
    with warnings.catch_warnings():
        # The only threads are those of NumPy, SciPy and Arrow, which handle forks themselves.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _print_to(output: int, errors: int) -> None:
    for stream, descriptor in ((sys.stdout, output), (sys.stderr, errors)):
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]


def _tell_exit_codes(workers: dict[int, Connection]) -> None:
    while workers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        _tell(workers.pop(pid), os.waitstatus_to_exitcode(status))


def _tell(ended: Connection, end: int | OSError) -> None:
    with ended, contextlib.suppress(OSError):  # the parent may not wait any more
        ended.send(end)
