"""Train bfloat16 weights. Keras's Adam does not change them; with a float32 copy they train."""

import keras
import numpy as np

import keras_adam

x = np.random.default_rng(0).normal(size=(2048, 32)).astype("float32")
y = np.tanh(x @ np.random.default_rng(1).normal(size=(32, 4)) / 4).astype("float32")


def train(optimizer):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(128, "gelu", dtype="bfloat16"),
        keras.layers.Dense(4, dtype="bfloat16"),
    ]
    model = keras.Sequential([keras.Input((32,), dtype="bfloat16"), *layers])
    model.compile(optimizer, "mse")
    return model.fit(x, y, batch_size=64, epochs=3, verbose=0).history["loss"]


for name, optimizer in {
    "keras.optimizers.Adam": keras.optimizers.Adam(1e-4),
    "keras_adam.Adam": keras_adam.Adam(1e-4),
    "master_weights='stochastic'": keras_adam.Adam(
        1e-4, state_dtype="bfloat16", master_weights="stochastic"
    ),
    "master_weights=True": keras_adam.Adam(1e-4, state_dtype="float32", master_weights=True),
}.items():
    losses = train(optimizer)
    print(f"{name:28} loss", *(f"{loss:.4f}" for loss in losses))

assert losses[-1] < losses[0]
