"""Dask's scheduler and workers on this machine."""

import contextlib
import logging
import os
import subprocess
from collections.abc import Iterator

import dask
from distributed import Nanny, Scheduler, SpecCluster

from benchmarks.errors import InputError
from benchmarks.sweeps.cluster import be_quiet

HOST = "127.0.0.1"

SETTINGS = {
    "distributed.worker.daemon": False,  # so that a worker can start a process for each run
    "distributed.nanny.pre-spawn-environ": {},  # Dask's default would give a run one thread
    "distributed.worker.profile.enabled": False,
    # Ctrl-C also reaches the sweep, and the sweep ends its workers.
    "distributed.worker.preload": ["import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"],
}


@contextlib.contextmanager
def workers(parallel: int, device: str | None, devices: int) -> Iterator[str]:
    """Start workers on this machine; yield the address of their scheduler.

    Args:
        parallel: number of workers.
        device: the requested device. Unless it is "cpu", each worker has its own GPUs, if there are
            any.
        devices: number of GPUs of a run.

    Raises:
        InputError: there are too few GPUs.
    """
    gpus = [] if device == "cpu" else visible_gpus()
    if gpus and parallel * devices > len(gpus):
        raise InputError(
            f"each needs {devices} GPU{'s' * (devices > 1)}, but there are only {len(gpus)}; take "
            "fewer workers, or the CPU",
            parallel=parallel,
            see=["device"],
        )
    be_quiet()
    specification = {}
    for number in range(parallel):
        own = gpus[number * devices : (number + 1) * devices]
        options = {
            "host": HOST,
            "nthreads": 1,
            "memory_limit": 0,  # runs are other processes than the worker
            "dashboard": False,
            "silence_logs": logging.CRITICAL,
            "env": {"CUDA_VISIBLE_DEVICES": ",".join(own)} if own else {},
        }
        specification[number] = {"cls": Nanny, "options": options}
    options = {"host": HOST, "port": 0, "dashboard": False, "dashboard_address": ":0"}
    scheduler = {"cls": Scheduler, "options": options}
    with (
        dask.config.set(SETTINGS),
        SpecCluster(workers=specification, scheduler=scheduler) as cluster,
    ):
        yield str(cluster.scheduler_address)


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that a process may use, as CUDA_VISIBLE_DEVICES names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu for gpu in chosen.split(",") if gpu not in ("", "-1")]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    return found.stdout.split()
