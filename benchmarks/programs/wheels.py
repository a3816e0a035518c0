"""XLA's compiler for NVIDIA GPUs, in two additional wheels that need no GPU and no CUDA."""

import importlib.metadata

from benchmarks.errors import InputError

WHEELS = ("jax-cuda12-plugin", "jax-cuda12-pjrt")


def check_wheels() -> None:
    """Raise an `InputError` unless JAX and the wheels are installed in the same version."""
    try:
        jax, *versions = (importlib.metadata.version(name) for name in ("jax", *WHEELS))
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"`program` needs XLA's compiler for GPUs, but {error.name} is not installed; pip "
            "install -e '.[gpu-programs]' installs it (180 MB, no GPU and no CUDA needed)"
        ) from error
    for name, version in zip(WHEELS, versions, strict=True):
        if version != jax:
            raise InputError(
                f"{name} {version} does not fit JAX {jax}: pip install '{name}=={jax}', "
                "or -e '.[gpu-programs]' for all of them"
            )
