"""Starts a worker: a server forks it, or it is spawned if there is no server."""

import atexit
import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any, Protocol

from benchmarks.worker import child, programs

CAN_FORK = sys.platform == "linux"
"""Whether workers are forked; macOS has `fork`, too, but not all of its libraries support it."""

READ_LATE = ("PYTEST_", "CUDA_VISIBLE_DEVICES", "__DASK_", "PYTHONHASHSEED")
"""Prefixes of environment variables that no library reads at its import. Dask sets the last two in
the process that starts its workers."""


class Process(Protocol):
    """A worker process, for its parent."""

    connection: Connection
    """The connection on which both send and receive; if the parent closes it, the worker ends."""
    ended: Any
    """An object for `multiprocessing.connection.wait`, ready when `exit_code` need not wait."""
    pid: int | None
    """The process id; None before it is known."""

    def exit_code(self) -> int | OSError | None:
        """Wait for the end; return the exit code, which is -N after signal N.

        None if the code cannot be known. An `OSError` if the system could not start the process.
        """

    def kill(self) -> None:
        """End the process at once, if it has not ended."""


def process(backend: str) -> Process:
    """Start a worker with a Keras backend, "tensorflow", "jax" or "torch"."""
    global _has_said
    if backend == "torch":  # Keras looks for a GPU at its import; CUDA cannot fork after that
        return _Spawned()
    if CAN_FORK:
        return _forked(backend)
    if not _has_said:
        _has_said = True
        print(
            "This platform cannot fork, so each run imports its libraries again.", file=sys.stderr
        )
    return _Spawned()


_has_said = False


class _Spawned:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=child.enter, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that the messages end with the process
        self.ended = self._process.sentinel
        self.pid = self._process.pid

    def exit_code(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


class _Forked:
    def __init__(self, connection: Connection, ended: Connection) -> None:
        self.connection = connection
        self.ended = ended
        self.pid: int | None = None
        self._code: int | OSError | None = None

    def exit_code(self) -> int | OSError | None:
        if self._code is None:
            with contextlib.suppress(EOFError, OSError):  # the server has ended
                self._code = self.ended.recv()
        return self._code

    def kill(self) -> None:
        if self.pid is not None and self._code is None and not self.ended.poll():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.exit_code()
        self.connection.close()
        self.ended.close()


class _Server:
    """The process that forks the workers of a backend."""

    def __init__(self, backend: str) -> None:
        self._surroundings = _surroundings()
        self._parent = os.getpid()
        self._socket, theirs = socket.socketpair()
        folder = str(programs.folder(backend) or "")
        with theirs:
            program = (
                f"import sys; sys.path[:] = {sys.path!r}; "
                "from benchmarks.worker import server, child; "
                f"child.enter(server.serve({theirs.fileno()}, {folder!r}))"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def is_fit(self) -> bool:
        """Whether the server runs, belongs to this process, and would import the same again."""
        return (
            self._parent == os.getpid()
            and self._process.poll() is None
            and self._surroundings == _surroundings()
        )

    def fork(self) -> _Forked:
        connection, theirs = multiprocessing.Pipe()
        ended, ending = multiprocessing.Pipe(duplex=False)
        with theirs, ending:
            descriptors = [theirs.fileno(), ending.fileno(), 1, 2]
            socket.send_fds(self._socket, [b"."], descriptors)
        return _Forked(connection, ended)

    def close(self) -> None:
        """End the server. Its workers do not need it."""
        if self._parent == os.getpid():
            self._process.kill()
            self._process.wait()
        self._socket.close()


_servers: dict[str, _Server] = {}
_lock = threading.Lock()


def _forked(backend: str) -> _Forked:
    with _lock:
        server = _servers.get(backend)
        if server is not None and not server.is_fit():
            server.close()
            server = None
        if server is None:
            server = _servers[backend] = _Server(backend)
        try:
            return server.fork()
        except OSError:  # it has died meanwhile
            server.close()
            server = _servers[backend] = _Server(backend)
            return server.fork()


@atexit.register
def _close_all() -> None:
    while _servers:
        _servers.popitem()[1].close()


def _surroundings() -> tuple[dict[str, str], list[str]]:
    """Return the variables and paths on which imports depend."""
    return {k: v for k, v in os.environ.items() if not k.startswith(READ_LATE)}, list(sys.path)
