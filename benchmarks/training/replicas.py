"""One training on several devices of this machine: each takes its share of every batch."""

import contextlib
from typing import Any

from benchmarks import device as device_names
from benchmarks.errors import InputError
from benchmarks.run import RunConfig


def check(config: RunConfig, device: str) -> None:
    """Find whether the devices are there and can share a batch.

    Raises:
        InputError: they cannot.
    """
    if config.batch_size % config.devices:
        raise InputError(
            f"{config.batch_size} images cannot be shared among {config.devices} devices; a "
            f"multiple of {config.devices} can",
            batch_size=config.batch_size,
            see=["devices"],
        )
    if device == "gpu" and config.devices > 1:
        count = len(device_names.gpu_names(config.backend))
        if count < config.devices:
            raise InputError(
                f"{config.backend} sees {count} on this machine; to try it out, --device cpu takes "
                "as many as you like, which share the cores",
                devices=config.devices,
            )


def replicate(config: RunConfig) -> contextlib.AbstractContextManager[Any]:
    """Return the scope to make the model and the optimizer in.

    On a CPU the devices are logical ones, which share its cores. It must come before anything
    has touched a device.
    """
    if config.devices == 1:
        return contextlib.nullcontext()
    if config.backend == "jax":
        import jax
        import keras

        # On a CPU the worker has asked XLA for that many.
        devices = jax.devices()[: config.devices]
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
        return contextlib.nullcontext()
    import tensorflow as tf

    if config.device == "cpu":
        cpu = tf.config.list_physical_devices("CPU")[0]
        logical = [tf.config.LogicalDeviceConfiguration()] * config.devices
        tf.config.set_logical_device_configuration(cpu, logical)
    names = [f"{config.device.upper()}:{i}" for i in range(config.devices)]
    # TensorFlow's own choice for several tensors on CPUs fails: it packs them for each device.
    reduction = tf.distribute.ReductionToOneDevice() if config.device == "cpu" else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction).scope()
