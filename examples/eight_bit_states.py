"""Train with the state in float32, bfloat16 and eight bits, and print its sizes and the losses."""

import keras
import numpy as np

import keras_adam

x = np.random.default_rng(0).normal(size=(1024, 64)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int32")


def train(optimizer):
    """Return the loss of each epoch, and the bytes of the state for each parameter."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(256, "relu"),
            keras.layers.Dense(256, "relu"),
            keras.layers.Dense(2),
        ]
    )
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(x, y, batch_size=32, epochs=4, verbose=0).history["loss"]
    size = sum(v.numpy().nbytes for v in optimizer.variables if v.shape)
    return losses, size / model.count_params()


for state_dtype in (None, "bfloat16", "int8"):
    losses, bytes_each = train(keras_adam.Adam(1e-3, state_dtype=state_dtype))
    print(
        f"state_dtype={state_dtype!r:11} {bytes_each:.2f} bytes a parameter, loss",
        *(f"{loss:.4f}" for loss in losses),
    )
