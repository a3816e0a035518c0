"""Where a measurement was made: versions, machine, commit."""

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from benchmarks.device import gpu_names


@dataclasses.dataclass(frozen=True)
class Checked:
    """The message of a worker that has found nothing in the way: what was asked for can start."""

    device: str
    """"cpu" or "gpu": the one asked for, else the best there is."""
    environment: dict[str, Any]
    """The environment columns."""


def environment(backend: str) -> dict[str, Any]:
    """Return the environment columns of the reports, without `started_at`."""
    return {
        "python": platform.python_version(),
        "tensorflow": importlib.metadata.version("tensorflow"),
        "keras": importlib.metadata.version("keras"),
        "keras_adam": importlib.metadata.version("keras_adam"),
        "backend_version": importlib.metadata.version(backend),
        "cpu": _cpu_name(),
        "cores": _usable_cores(),
        "gpu": ", ".join(gpu_names(backend)) or None,
        **_git_state(),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return psutil.cpu_count()


def _git_state() -> dict[str, Any]:
    """Return the commit of this checkout and whether it was changed; blank outside of one."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
