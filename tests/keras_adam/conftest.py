"""Settings of a backend before the tests start."""

import functools

import keras
import pytest

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # Two devices, for the tests under a distribution strategy.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    @pytest.fixture
    def two_replicas():
        # The default all-reduce of several tensors fails on eager CPUs: TensorFlow packs
        # them differently on each device.
        return tf.distribute.MirroredStrategy(
            ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
        )


if keras.backend.backend() == "torch":
    import torch

    def pytest_configure(config):
        # Keras's `tree` makes Dynamo look at the gradient of a layer's output.
        config.addinivalue_line("filterwarnings", r"ignore:The \.grad attribute of a Tensor")

    @pytest.fixture(autouse=True)
    def compiled_without_a_compiler(monkeypatch):
        """Trace as `torch.compile` does, without a minute of C++ for each program."""
        # The program of the last test is not needed again, and the number of programs is limited.
        torch.compiler.reset()
        traced = functools.partial(torch.compile, backend="aot_eager")
        monkeypatch.setattr(torch, "compile", traced)
