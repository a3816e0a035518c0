"""Train one model on two devices with `MirroredStrategy`. The devices are two logical CPUs."""

import keras
import numpy as np
import tensorflow as tf

import keras_adam

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
# With GPUs, tf.distribute.MirroredStrategy() is enough.
strategy = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
)

x = np.random.default_rng(0).normal(size=(512, 20)).astype("float32")
y = x[:, :1] - x[:, 1:2]

with strategy.scope():
    model = keras.Sequential(
        [keras.Input((20,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(1)]
    )
    # Gradients are clipped after the sum over the devices, so that two devices train as one does.
    model.compile(keras_adam.Adam(3e-3, global_clipnorm=1.0), "mse")

losses = model.fit(x, y, batch_size=64, epochs=10, verbose=0).history["loss"]
print(f"{strategy.num_replicas_in_sync} devices, loss {losses[0]:.4f} to {losses[-1]:.4f}")
assert losses[-1] < losses[0] / 2
