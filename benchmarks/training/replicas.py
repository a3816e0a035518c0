"""Trains one model on several devices; each takes its share of every batch."""

import contextlib
from typing import Any

from benchmarks import device as device_names
from benchmarks.errors import InputError
from benchmarks.run import RunConfig


def check_devices(config: RunConfig, device: str) -> None:
    """Check that the devices exist and can share a batch.

    Raises:
        InputError: the devices do not exist, or cannot share a batch.
    """
    count = config.devices * config.processes
    if config.backend == "torch":
        for option in ("devices", "steps_per_execution"):
            if getattr(config, option) > 1:
                raise InputError(
                    "Keras's fit on torch does one step at a time, on one device; valid is: 1",
                    see=["backend"],
                    **{option: getattr(config, option)},
                )
    if config.batch_size % count:
        raise InputError(
            f"{config.batch_size} images cannot be shared among {count} devices; a "
            f"multiple of {count} can",
            batch_size=config.batch_size,
            see=["devices"] if config.processes == 1 else ["devices", "processes"],
        )
    if config.shard_optimizer_state and (count == 1 or config.backend != "jax"):
        raise InputError(
            f"needs several devices and the jax backend; received {count} and {config.backend}",
            shard_optimizer_state=True,
            see=["devices", "backend"],
        )
    if device == "gpu" and config.devices > 1:
        found = len(device_names.gpu_names(config.backend))
        if found < config.devices:
            raise InputError(
                f"{config.backend} sees {found} on this machine; for a try, --device cpu takes "
                "any number, which share the cores",
                devices=config.devices,
            )


def process_id(config: RunConfig) -> int:
    """Return the number of this process among those that train together, counted from 0."""
    if config.processes == 1:
        return 0
    import jax

    return jax.process_index()


def replicate(config: RunConfig) -> contextlib.AbstractContextManager[Any]:
    """Return the scope in which the model and the optimizer must be made.

    On a CPU the devices are logical ones, which share its cores. Call this before any device is
    used.
    """
    if config.devices * config.processes == 1:
        return contextlib.nullcontext()
    if config.backend == "jax":
        import jax
        import keras

        from benchmarks import optimizers

        # On a CPU the worker has set this number for XLA.
        devices = [
            device
            for process in range(config.processes)
            for device in jax.local_devices(process)[: config.devices]
        ]
        keras.distribution.set_distribution(
            optimizers.data_parallel(devices, config.shard_optimizer_state)
        )
        return contextlib.nullcontext()
    import tensorflow as tf

    if config.device == "cpu":
        cpu = tf.config.list_physical_devices("CPU")[0]
        logical = [tf.config.LogicalDeviceConfiguration()] * config.devices
        tf.config.set_logical_device_configuration(cpu, logical)
    names = [f"{config.device.upper()}:{i}" for i in range(config.devices)]
    # TensorFlow's default packs several tensors together for each device, which fails on CPUs.
    reduction = tf.distribute.ReductionToOneDevice() if config.device == "cpu" else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction).scope()


def divide(train: Any, steps: int, config: RunConfig) -> Any:
    """Return `steps` training batches an epoch, each of which `fit` divides among the devices.

    On JAX, `keras.distribution` divides them. On TensorFlow, `fit` would make a data set of its own
    from `train` and shuffle again. Then the batches would differ from those of one device.
    """
    if config.devices == 1 or config.backend == "jax":
        return train
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    share = config.batch_size // config.devices

    def distribute(images: Any) -> Any:
        return strategy.distribute_datasets_from_function(
            lambda _: images.rebatch(share).prefetch(1)
        )

    shape = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), train.element_spec)
    # Keras takes one batch to see its shape, and then starts again. That batch would be missing,
    # and the first epoch would have the order of the second. So Keras first gets a batch of zeros.
    to_come = [distribute(tf.data.Dataset.from_tensors(shape))]
    epoch = distribute(train)

    class Divided(type(epoch)):  # type: ignore[misc] # Keras knows the class by its name
        """The batches of `train`; each device gets a part of each batch."""

        element_spec = train.element_spec
        # Keras would count the shares of the devices, not the batches. Keras ends an epoch after
        # this number. The data must end there too, because the last execution of several steps
        # takes all batches that are left.
        cardinality = steps

        def __init__(self) -> None:
            pass

        def __iter__(self) -> Any:
            return iter(to_come.pop() if to_come else epoch)

    return Divided()
