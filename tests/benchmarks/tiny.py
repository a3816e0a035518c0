"""A model for tests in which the model is not the point: it is compiled in the least time."""

import keras


def dense(image_shape, classes):
    """Be `--model tests.benchmarks.tiny:dense`."""
    return keras.Sequential(
        [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
