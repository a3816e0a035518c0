"""The environment of a measurement: versions, machine, commit."""

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.device import gpu_names

PEERS = ("torch", "jax", "optax", "tf-keras")
"""The packages of the extra `peers` in pyproject.toml."""

READERS = ("tensorflow-datasets", "numpy", "grain", "pillow")
"""The packages that read the data."""


@dataclasses.dataclass(frozen=True)
class Checked:
    """The message of a worker whose check has found no problem."""

    device: str
    """The device, "cpu" or "gpu"; see `device.find`."""
    environment: dict[str, Any]
    """The environment columns."""
    notes: tuple[str, ...] = ()
    """Notes for the user about the data and the models; each is one sentence."""
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The digests of data sets and of the user's own code, by name; see `RunConfig`."""


def environment(backend: str) -> dict[str, Any]:
    """Return the environment columns of the reports, without `started_at`."""
    gpus = gpu_names(backend)
    return {
        **versions(backend),
        "host": platform.node() or None,
        "os": platform.platform(),
        "cpu": _cpu_name(),
        "cores": machine.usable_cores(),
        "memory_gb": round(machine.memory_bytes() / 1e9, 1),
        "gpu": ", ".join(gpus) or None,
        "xla_flags": os.environ.get("XLA_FLAGS") or None,
        **(_gpu_habits(backend) if gpus else {"tf32": None, "deterministic": None}),
        **git_state(),
    }


def versions(backend: str) -> dict[str, str | None]:
    """Return the environment columns that are versions of packages; no package is imported."""
    return {
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
        "keras_adam": version("keras_adam"),
        "backend_version": version(backend),
    }


def peer_versions() -> dict[str, str]:
    """Return the versions of the installed peers."""
    return _versions(PEERS)


def reader_versions() -> dict[str, str]:
    """Return the versions of the packages that read the data."""
    return _versions(READERS)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {package: version(package) for package in packages}
    return {package: text for package, text in found.items() if text is not None}


def version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpu_habits(backend: str) -> dict[str, bool]:
    """Return whether float32 products on a GPU use TF32, and whether results are deterministic."""
    if backend == "jax":
        import jax

        precision = getattr(jax.config, "jax_default_matmul_precision", None)
        tf32 = precision in (None, "default", "tensorfloat32", "fastest")
    elif backend == "torch":
        import torch

        tf32 = torch.backends.cuda.matmul.allow_tf32
    else:
        import tensorflow as tf

        tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    return {
        "tf32": tf32,
        "deterministic": "--xla_gpu_deterministic_ops" in os.environ.get("XLA_FLAGS", "")
        or os.environ.get("TF_DETERMINISTIC_OPS", "0").lower() in ("1", "true")
        or (backend == "torch" and _torch_is_deterministic()),
    }


def _torch_is_deterministic() -> bool:
    import torch

    return bool(torch.are_deterministic_algorithms_enabled())


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_state(root: Path = Path(__file__).parents[1]) -> dict[str, Any]:
    """Return the commit of this project's checkout, and whether its files were changed.

    Both are blank if these files are not from a checkout: an installed package may lie inside the
    repository of another project, whose commit says nothing.
    """
    # In a Git hook, Git sets variables that may point to another repository.
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
            env=variables,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "benchmarks/environment.py")
        if Path(git("rev-parse", "--show-toplevel")).resolve() == root.resolve():
            return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        pass
    return {"commit": None, "dirty": None}
