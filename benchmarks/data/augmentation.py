"""Training images flipped and shifted at random."""

from typing import Any

import tensorflow as tf

SHIFT = 8
"""Augmentation shifts an image by up to this fraction of its height and width: 4 of 32 pixels."""


def augment(batches: tf.data.Dataset, seed: int) -> tf.data.Dataset:
    """Flip each image or not, and shift it; black moves in. Anew in every epoch.

    The random numbers are drawn by a data set of their own and in its order,
    so that they do not depend on which thread is first.
    """

    def change(seeds: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> Any:
        images, labels = batch
        count, height, width, _ = images.shape
        pad = max(height // SHIFT, 1), max(width // SHIFT, 1)
        padded = tf.pad(images, [(0, 0), (pad[0], pad[0]), (pad[1], pad[1]), (0, 0)])

        def random(number: int, below: int) -> tf.Tensor:
            return tf.random.stateless_uniform(
                [count, 1], seeds + number, maxval=below, dtype=tf.int32
            )

        rows = random(0, 2 * pad[0] + 1) + tf.range(height)
        columns = random(1, 2 * pad[1] + 1)
        columns += tf.where(random(2, 2) == 1, tf.range(width), tf.range(width)[::-1])
        shifted = tf.gather(padded, rows, axis=1, batch_dims=1)
        return tf.gather(shifted, columns, axis=2, batch_dims=1), labels

    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip(seeds, batches).map(change, tf.data.AUTOTUNE)
