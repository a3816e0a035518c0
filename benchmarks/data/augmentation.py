"""Flips and shifts training images at random, with TensorFlow or without."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

SHIFT = 8
"""An image is shifted by at most its size divided by this number: 4 of 32 pixels."""


def augment(batches: "tf.data.Dataset", seed: int) -> "tf.data.Dataset":
    """Flip and shift each image at random, differently in every epoch; the new pixels are black.

    The random numbers come from a data set of their own, in a fixed order. So they do not depend on
    the order of the threads.
    """
    import tensorflow as tf

    def change(seeds: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> Any:
        images, labels = batch
        count, height, width, _ = images.shape
        down, right = _padding(height, width)
        padded = tf.pad(images, [(0, 0), (down, down), (right, right), (0, 0)])

        def random(number: int, below: int) -> tf.Tensor:
            return tf.random.stateless_uniform(
                [count, 1], seeds + number, maxval=below, dtype=tf.int32
            )

        rows = random(0, 2 * down + 1) + tf.range(height)
        columns = random(1, 2 * right + 1)
        columns += tf.where(random(2, 2) == 1, tf.range(width), tf.range(width)[::-1])
        shifted = tf.gather(padded, rows, axis=1, batch_dims=1)
        return tf.gather(shifted, columns, axis=2, batch_dims=1), labels

    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip(seeds, batches).map(change, tf.data.AUTOTUNE)


def draw(random: np.random.Generator, count: int, size: tuple[int, int]) -> np.ndarray:
    """Draw random moves for `move`: (rows, columns, flip) of each image, shape (count, 3)."""
    down, right = _padding(*size)
    return random.integers(0, (2 * down + 1, 2 * right + 1, 2), (count, 3))


def move(images: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Flip and shift each image as `moves` says; the new pixels are black."""
    count, height, width, _ = images.shape
    down, right = _padding(height, width)
    padded = np.pad(images, [(0, 0), (down, down), (right, right), (0, 0)])
    rows = moves[:, :1] + np.arange(height)
    flipped = moves[:, 2:] == 1
    columns = moves[:, 1:2] + np.where(flipped, np.arange(width)[::-1], np.arange(width))
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _padding(height: int, width: int) -> tuple[int, int]:
    return max(height // SHIFT, 1), max(width // SHIFT, 1)
