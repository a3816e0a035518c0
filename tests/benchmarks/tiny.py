"""A small model, fast to compile, for tests in which the model does not matter."""

import keras


def dense(image_shape, classes):
    """Build the model of `--model tests.benchmarks.tiny:dense`."""
    return keras.Sequential(
        [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
