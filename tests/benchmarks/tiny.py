"""A small model and small images, for tests in which neither of them matters."""

import keras
import numpy as np


def dense(image_shape, classes):
    """Build the model of `--model tests.benchmarks.tiny:dense`."""
    return keras.Sequential(
        [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )


def images():
    """Return the images of `--dataset tests.benchmarks.tiny:images`, which need no decoding.

    There are as many for training and for testing as digits. A linear model learns them.
    """
    random = np.random.default_rng(0)
    labels = np.tile(np.arange(10), 180)[:1797]
    noise = random.normal(0, 150, (1797, 8, 8, 1))
    patterns = random.integers(0, 256, (10, 8, 8, 1))
    found = np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8)
    return (found[:1437], labels[:1437]), (found[1437:], labels[1437:])
