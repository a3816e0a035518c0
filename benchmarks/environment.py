"""Where a measurement was made: versions, machine, commit."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

BACKEND_PACKAGES = {"tensorflow": "tensorflow", "jax": "jax"}


def gpu_names(backend: str) -> list[str]:
    """Name the GPUs that `backend` ("tensorflow" or "jax") can use."""
    if backend == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    import tensorflow as tf

    return [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]


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


def peak_memory_mb(backend: str, device: str) -> float | None:
    """Return the most memory that was in use so far, in 10^6 bytes.

    On a GPU, what the backend had allocated there; on a CPU, the resident
    memory of this process, program included.
    """
    if device == "gpu":
        if backend == "jax":
            import jax

            return float(jax.devices()[0].memory_stats()["peak_bytes_in_use"]) / 1e6
        import tensorflow as tf

        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 1e6
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None


def restart_peak_memory() -> float | None:
    """Forget the resident memory's peak so far; return what is in use now, in 10^6 bytes.

    Only Linux can; elsewhere, `None`.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return peak_memory_mb("tensorflow", "cpu")


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
