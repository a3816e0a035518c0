"""Connects processes on several machines that compute together."""

import base64
import contextlib
import dataclasses
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.errors import InputError, one_line

CONNECT_SECONDS = 60
"""The seconds that a process waits for the others, which may start at different times."""

DEATH_SECONDS = 30
"""The seconds after which the others know that a process has died; a broken connection may tell
them earlier."""


@dataclasses.dataclass(frozen=True)
class ProcessGroup:
    """The processes that compute together, and the number of this one."""

    coordinator: str
    """The HOST:PORT at which process 0 listens."""
    processes: int
    process_id: int
    """The number of this process, counted from 0."""


@contextlib.contextmanager
def join(group: ProcessGroup) -> Iterator[None]:
    """Connect with the other processes. Call this before any device is used.

    Raises:
        InputError: processes are missing, or have different numbers of devices.
    """
    import jax

    _wait_for_coordinator(group)
    try:
        jax.distributed.initialize(
            group.coordinator,
            group.processes,
            group.process_id,
            cluster_detection_method="deactivate",
            initialization_timeout=CONNECT_SECONDS,
            heartbeat_timeout_seconds=DEATH_SECONDS,
            shutdown_timeout_seconds=DEATH_SECONDS,
        )
    except Exception as error:
        raise InputError(
            f"the processes cannot connect: {one_line(error)}", coordinator=group.coordinator
        ) from error
    counts = Counter(device.process_index for device in jax.devices())
    if len(set(counts.values())) > 1:
        raise InputError(
            "not the same in all processes: "
            + ", ".join(
                f"process {number} has {count}" for number, count in sorted(counts.items())
            ),
            devices=jax.local_device_count(),
        )
    yield
    jax.distributed.shutdown()  # not after an exception, because it waits for the others


def _wait_for_coordinator(group: ProcessGroup) -> None:
    """Wait until process 0 listens. JAX would wait too, but aborts after its time limit."""
    host, _, port = group.coordinator.rpartition(":")
    try:
        socket.getaddrinfo(host, int(port))
    except OSError as error:
        raise InputError(
            f"no such host: {error.strerror}", coordinator=group.coordinator
        ) from error
    deadline = time.monotonic() + CONNECT_SECONDS
    while group.process_id:
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"process 0 has not answered there within {CONNECT_SECONDS} seconds: "
                    f"{error.strerror}",
                    coordinator=group.coordinator,
                ) from error
            time.sleep(0.2)


def share(value: Any) -> Any:
    """Return the value of process 0 in all processes; it must be valid in JSON."""
    import jax
    import numpy as np
    from jax.experimental import multihost_utils

    text = json.dumps(value).encode() if jax.process_index() == 0 else b""
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    padded = np.zeros(length, np.uint8)
    padded[: len(text)] = np.frombuffer(text, np.uint8)
    return json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(padded))))


def gather(value: Any) -> list[Any]:
    """Return the values of all processes, in their order; they must be valid in JSON."""
    import numpy as np
    from jax.experimental import multihost_utils

    text = json.dumps(value).encode()
    lengths = multihost_utils.process_allgather(np.int32(len(text)))
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(text)] = np.frombuffer(text, np.uint8)
    every = multihost_utils.process_allgather(padded)
    return [json.loads(bytes(row[:length])) for row, length in zip(every, lengths, strict=True)]


def share_folder(folder: Path) -> None:
    """Give all processes the files of `folder` on process 0, if it exists there."""
    found = {}
    if folder.exists():
        found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    given = share({name: base64.b64encode(data).decode() for name, data in found.items()})
    if given:
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in given.items():
        if name not in found:
            (folder / name).write_bytes(base64.b64decode(data))
