"""Split the state over four devices on JAX. In this example XLA makes four devices of one CPU."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"  # not needed with GPUs

import jax
import keras
import numpy as np

import keras_adam

x = np.random.default_rng(0).normal(size=(512, 64)).astype("float32")
y = x[:, :1] - x[:, 1:2]

for shard in (False, True):
    distribution = keras_adam.distribution.DataParallel(shard_optimizer_state=shard)
    keras.distribution.set_distribution(distribution)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(256, "relu"), keras.layers.Dense(1)]
    )
    model.compile(keras_adam.Adam(1e-3), "mse")
    losses = model.fit(x, y, batch_size=64, epochs=5, verbose=0).history["loss"]
    parts = [p for v in model.optimizer.variables for p in v.value.addressable_shards]
    own = sum(p.data.nbytes for p in parts if p.device == jax.devices()[0])
    print(f"shard_optimizer_state={shard}: {own:,} bytes of state a device, loss {losses[-1]:.6f}")
