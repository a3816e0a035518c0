"""Two logical CPUs for the tests under a distribution strategy; TensorFlow wants to know first."""

import keras
import pytest

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    @pytest.fixture
    def two_replicas():
        # The default all-reduce of several tensors fails on eager CPUs: TensorFlow packs
        # them differently on each device.
        return tf.distribute.MirroredStrategy(
            ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
        )
