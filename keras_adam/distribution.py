"""Data parallel training in which each device keeps a share of the optimizer's state."""

from collections.abc import Sequence

import keras

from keras_adam import validate


class DataParallel(keras.distribution.DataParallel):
    """`keras.distribution.DataParallel` that can split the optimizer's state over the devices.

    With `shard_optimizer_state=True` each of N devices keeps one N-th of the state of a
    `keras_adam` optimizer: of momentum, velocity, master weights and so on. The first dimension
    that N divides is split. A slot without such a dimension is whole on every device. The scales of
    `state_dtype="int8"` are whole, too. XLA then gives each device its part of the summed
    gradients, and gathers the variables. This is stage 1 of ZeRO (Rajbhandari et al. 2020,
    https://arxiv.org/abs/1910.02054, section 5).

    The weights are the same as without splitting, except for rounding. A file holds the whole
    state, and can be loaded with another number of devices.

    Args:
        device_mesh: `keras.distribution.DeviceMesh` or `None`. It has one dimension, over the data.
        devices: Sequence of devices or `None`, instead of a mesh. Defaults to all devices.
        auto_shard_dataset: Boolean. Give each process its part of a `tf.data.Dataset`.
            Defaults to `True`.
        shard_optimizer_state: Boolean. Split the optimizer's state. Defaults to `False`.

    Raises:
        RuntimeError: the backend is not JAX, which `keras.distribution` needs.

    Examples:
        >>> distribution = keras_adam.distribution.DataParallel(shard_optimizer_state=True)
        >>> keras.distribution.set_distribution(distribution)
        >>> model = make_model()  # Keras distributes everything that is created from here on
        >>> model.compile(optimizer=keras_adam.Adam(1e-3), loss="mse")

    """

    def __init__(
        self,
        device_mesh: keras.distribution.DeviceMesh | None = None,
        devices: Sequence[object] | None = None,
        auto_shard_dataset: bool = True,
        *,
        shard_optimizer_state: bool = False,
    ) -> None:
        validate.booleans(shard_optimizer_state=shard_optimizer_state)
        if keras.backend.backend() != "jax":
            raise RuntimeError(
                "keras_adam.distribution.DataParallel needs the JAX backend of Keras; the backend "
                f"is {keras.backend.backend()!r}. Set the environment variable KERAS_BACKEND to "
                "'jax' before Keras is imported, or use tf.distribute.MirroredStrategy."
            )
        super().__init__(device_mesh, devices, auto_shard_dataset)
        self.shard_optimizer_state = shard_optimizer_state

    def slot_layout(self, shape: Sequence[int]) -> keras.distribution.TensorLayout | None:
        """Return the `keras.distribution.TensorLayout` of a slot.

        `None` means that the slot has the layout of its variable.
        """
        dimension = split_dimension(shape, self.device_mesh.devices.size)
        if not self.shard_optimizer_state or dimension is None:
            return None
        axes = [None] * len(shape)
        axes[dimension] = self.batch_dim_name
        return keras.distribution.TensorLayout(axes, self.device_mesh)


def split_dimension(shape: Sequence[int], devices: int) -> int | None:
    """Return the first dimension that can be split into equal parts over the devices, or None."""
    for dimension, size in enumerate(shape):
        if size and size % devices == 0:
            return dimension
    return None


def slot_layout(shape: Sequence[int]) -> object:
    """Return the backend's layout of a slot under the present distribution, or `None`."""
    distribution = keras.distribution.distribution()
    if not isinstance(distribution, DataParallel):
        return None
    layout = distribution.slot_layout(shape)
    return None if layout is None else layout.backend_layout
