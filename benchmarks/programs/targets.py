"""The GPUs for which a program can be compiled; the machine does not need them."""

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.errors import InputError
from benchmarks.names import nearest

FILE = Path(__file__).with_name("targets.toml")

# For every NVIDIA GPU from 8.0 on: CUDA C++ Programming Guide, technical specifications.
_ALIKE = {
    "threads_per_warp": 32,
    "threads_per_block_limit": 1024,
    "block_dim_limit_x": 2**31 - 1,
    "block_dim_limit_y": 2**16 - 1,
    "block_dim_limit_z": 2**16 - 1,
    "registers_per_core_limit": 2**16,
    "registers_per_block_limit": 2**16,
    "shared_memory_per_block": 48 * 1024,
}

_CUDNN = (9, 8, 0)
"""The oldest version of cuDNN that JAX's wheels for CUDA 12 need."""


@functools.cache
def targets() -> Mapping[str, Mapping[str, Any]]:
    """Return the content of `targets.toml`, by the names that the command line takes."""
    return tomllib.loads(FILE.read_text())


def check_name(name: str) -> None:
    """Raise an `InputError` unless there is such a target."""
    if name not in targets():
        raise InputError(f"not a known GPU; {nearest(name, targets())}", target=name)


def config(name: str) -> str:
    """Describe a target for XLA, as a `GpuTargetConfigProto` in text form."""
    numbers = {**_ALIKE, **targets()[name]}
    device_name = numbers.pop("name")
    del numbers["source"]
    major, minor = numbers.pop("compute_capability").split(".")
    cudnn = dict(zip(("major", "minor", "patch"), _CUDNN, strict=True))
    device = {**numbers, "cuda_compute_capability": {"major": major, "minor": minor}}
    return "\n".join(
        [
            _message("gpu_device_info", device),
            'platform_name: "CUDA"',
            _message("dnn_version_info", cudnn),
            f'device_description_str: "{device_name}"',
        ]
    )


def _message(name: str, fields: Mapping[str, Any]) -> str:
    parts = (
        _message(key, value) if isinstance(value, Mapping) else f"{key}: {value}"
        for key, value in fields.items()
    )
    return f"{name} {{ {' '.join(parts)} }}"
