"""One training on several devices: each takes its share of every batch."""

import contextlib
from typing import Any

from benchmarks import device as device_names
from benchmarks.errors import InputError
from benchmarks.run import RunConfig


def check_devices(config: RunConfig, device: str) -> None:
    """Find whether the devices are there and can share a batch.

    Raises:
        InputError: they cannot.
    """
    count = config.devices * config.processes
    if config.backend == "torch":
        for option in ("devices", "steps_per_execution"):
            if getattr(config, option) > 1:
                raise InputError(
                    "Keras's fit on torch takes one step at a time, on one device; valid is: 1",
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
            f"needs several devices and the jax backend; here is {count} and {config.backend}",
            shard_optimizer_state=True,
            see=["devices", "backend"],
        )
    if device == "gpu" and config.devices > 1:
        found = len(device_names.gpu_names(config.backend))
        if found < config.devices:
            raise InputError(
                f"{config.backend} sees {found} on this machine; to try it out, --device cpu takes "
                "as many as you like, which share the cores",
                devices=config.devices,
            )


def process_id(config: RunConfig) -> int:
    """Return which of the processes that train together this is, counted from 0."""
    if config.processes == 1:
        return 0
    import jax

    return jax.process_index()


def replicate(config: RunConfig) -> contextlib.AbstractContextManager[Any]:
    """Return the scope to make the model and the optimizer in.

    On a CPU the devices are logical ones, which share its cores. It must come before anything
    has touched a device.
    """
    if config.devices * config.processes == 1:
        return contextlib.nullcontext()
    if config.backend == "jax":
        import jax
        import keras

        from benchmarks import optimizers

        # On a CPU the worker has asked XLA for that many.
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
    # TensorFlow's own choice for several tensors on CPUs fails: it packs them for each device.
    reduction = tf.distribute.ReductionToOneDevice() if config.device == "cpu" else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction).scope()


def divide(train: Any, steps: int, config: RunConfig) -> Any:
    """Return `steps` batches an epoch of training images so that `fit` divides each among devices.

    On JAX, `keras.distribution` does. On TensorFlow, `fit` would make a dataset of its own out of
    ours, which is shuffled anew: other batches than one device has.
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
    # Keras takes a batch to see its shape, and then begins anew: one of ours would be missing, and
    # the order be that of the second epoch.
    to_come = [distribute(tf.data.Dataset.from_tensors(shape))]
    epoch = distribute(train)

    class Divided(type(epoch)):  # type: ignore[misc] # Keras knows the class by its name
        """Our batches, of which each device gets a part."""

        element_spec = train.element_spec
        # Keras would take the number of shares for it. By this it knows when to begin anew. The
        # data must end there: the last execution of several steps takes what there is.
        cardinality = steps

        def __init__(self) -> None:
            pass

        def __iter__(self) -> Any:
            return iter(to_come.pop() if to_come else epoch)

    return Divided()
