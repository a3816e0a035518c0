"""Train an embedding: `lazy=True` updates only the rows that the gradient names."""

import time

import keras
import numpy as np
import tensorflow as tf

import keras_adam

ROWS, WIDTH, BATCH = 200_000, 32, 256


def train(optimizer, steps=20):
    """Return the median milliseconds of a step, and the number of rows that the last step moved."""
    table = keras.Variable(np.ones((ROWS, WIDTH), "float32"))
    optimizer.build([table])

    @tf.function
    def step(words):
        with tf.GradientTape() as tape:
            vectors = tf.gather(table.value, words)  # the gradient is sparse: tf.IndexedSlices
            loss = tf.reduce_mean(tf.square(vectors))
        optimizer.apply([tape.gradient(loss, table.value)], [table])

    generator = np.random.default_rng(0)
    seconds = []
    for i in range(steps):
        words = tf.constant(generator.integers(0, ROWS, BATCH))
        if i == steps - 1:
            before = table.numpy()
        begin = time.perf_counter()
        step(words)
        tf.test.experimental.sync_devices()
        seconds.append(time.perf_counter() - begin)
    return np.median(seconds) * 1e3, int((table.numpy() != before).any(axis=1).sum())


for name, optimizer in {
    "keras.optimizers.Adam": keras.optimizers.Adam(0.01),
    "keras_adam.Adam": keras_adam.Adam(0.01),
    "keras_adam.Adam(lazy=True)": keras_adam.Adam(0.01, lazy=True),
}.items():
    step_ms, moved = train(optimizer)
    print(f"{name:28} {step_ms:8.2f} ms a step, the last moved {moved} of {ROWS} rows")
