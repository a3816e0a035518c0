"""The device that computes: whether it exists, when it is ready, how much memory it used."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.errors import InputError


def gpu_names(backend: str) -> list[str]:
    """Name the GPUs of this machine that `backend` ("tensorflow", "jax" or "torch") can use."""
    if backend == "torch":
        import torch

        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if backend == "jax":
        import jax

        return [device.device_kind for device in jax.local_devices() if device.platform != "cpu"]
    import tensorflow as tf

    return [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]


def find(backend: str, device: str | None) -> str:
    """Return the device, "cpu" or "gpu"; for None, the GPU if the machine has one.

    Raises:
        InputError: the machine has no such device.
    """
    gpus = gpu_names(backend)
    if device == "gpu" and not gpus:
        raise InputError(f"{backend} sees no GPU on this machine; valid is: cpu", device=device)
    return device or ("gpu" if gpus else "cpu")


def synchronize(variables: Iterable[Any]) -> None:
    """Wait until the device has computed `variables` (Keras variables)."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.test.experimental.sync_devices()
    elif keras.backend.backend() == "torch":
        import torch

        if torch.cuda.is_available():  # on a CPU, PyTorch returns only when it has computed
            torch.cuda.synchronize()
    else:
        import jax

        jax.block_until_ready([variable.value for variable in variables])


def peak_memory_mb(backend: str, device: str) -> float | None:
    """Return the largest memory that was in use so far, in 10^6 bytes.

    On a GPU it is the memory that the backend had allocated. On a CPU it is the resident memory of
    this process, including the program.
    """
    if device == "gpu":
        if backend == "jax":
            import jax

            return float(jax.local_devices()[0].memory_stats()["peak_bytes_in_use"]) / 1e6
        if backend == "torch":
            import torch

            return torch.cuda.max_memory_allocated() / 1e6
        import tensorflow as tf

        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 1e6
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None


def megabytes_on_one(variables: Iterable[Any]) -> float:
    """Return the memory that Keras variables take on one device, in 10^6 bytes."""
    import keras

    if keras.backend.backend() == "jax":
        arrays = [variable.value.addressable_shards[0].data for variable in variables]
        return sum(array.nbytes for array in arrays) / 1e6
    tensors = [variable.value for variable in variables]
    if keras.backend.backend() == "torch":
        return sum(tensor.nbytes for tensor in tensors) / 1e6
    return sum(tensor.dtype.size * tensor.shape.num_elements() for tensor in tensors) / 1e6


def restart_peak_memory() -> float | None:
    """Reset the peak of the resident memory; return the memory in use now, in 10^6 bytes.

    This works only on Linux; elsewhere it returns `None`.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return peak_memory_mb("tensorflow", "cpu")
