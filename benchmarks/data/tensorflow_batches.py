"""Batches of TensorFlow's tensors, read by tf.data."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks.data import augmentation
from benchmarks.data.batches import Data, Plan
from benchmarks.data.image_folder import ImageFolder
from benchmarks.data.sources import Source, Tfds
from benchmarks.data.waiting import Waiting

SHUFFLED_BYTES = 2**29
"""Of decoded images, from which the next is drawn at random: all of a small set, a window of a
large one. The same on every machine, for the same order."""


def read(plan: Plan) -> Data:
    """Return what `plan` says as `tf.data.Dataset`s."""
    encoded = isinstance(plan.source.place, ImageFolder)
    # Only of a TFDS set of one size is it known that every image has it.
    resize = encoded or plan.size != plan.source.image_shape[:2]

    def decode(records: tf.data.Dataset) -> tf.data.Dataset:
        if encoded:
            records = records.map(_decode, tf.data.AUTOTUNE)
        if resize:
            records = records.map(functools.partial(_resize, size=plan.size), tf.data.AUTOTUNE)
        return records

    def keep(dataset: tf.data.Dataset) -> tf.data.Dataset:
        kept.append(dataset.cache() if plan.in_memory else dataset)
        return kept[-1]

    def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
        # After batching, for one operation a batch, and after the cache, which holds bytes.
        dataset = dataset.map(_normalise, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        options = tf.data.Options()
        if plan.workers is not None:
            options.threading.private_threadpool_size = plan.workers
        return dataset.with_options(options)

    kept: list[tf.data.Dataset] = []
    train_records = _records(plan.source, "train")
    images = train_records.skip(plan.held_out)
    # The memory of the machine says what is kept, but never in which order images come: a
    # shuffling of as many elements by the same seed is the same, whatever they are.
    if not encoded:
        buffer = min(plan.images, max(SHUFFLED_BYTES // plan.image_bytes, 1))
        train = keep(decode(images)).shuffle(buffer, seed=plan.seed)
    elif plan.in_memory:
        train = keep(decode(images)).shuffle(plan.images, seed=plan.seed)
    else:
        train = decode(images.shuffle(plan.images, seed=plan.seed))
    # A smaller batch would compile again.
    train = train.batch(plan.batch_size, drop_remainder=True)
    if plan.augment:
        train = augmentation.augment(train, plan.seed)
    train = finish(train)
    test = finish(keep(decode(_records(plan.source, "test"))).batch(plan.batch_size))
    validation = None
    if plan.held_out:
        held_out = keep(decode(train_records.take(plan.held_out)))
        validation = finish(held_out.batch(plan.batch_size))
    waiting = Waiting() if plan.watch else None
    return Data(
        plan=plan,
        train=train if waiting is None else waiting.measure(train),
        validation=validation,
        test=test,
        caches=tuple(functools.partial(_fill, cache) for cache in kept if plan.in_memory),
        waited=waiting.seconds if waiting else None,
    )


def _records(source: Source, split: str) -> tf.data.Dataset:
    """Return images and labels of a split, or paths and labels, always in the same order."""
    place = source.place
    if isinstance(place, Tfds):
        # Files are not shuffled: the records in them were when the set was prepared, and what
        # is kept in memory would have one order for ever.
        return place.builder.as_dataset(
            split=getattr(place, split),
            as_supervised=True,
            read_config=tfds.ReadConfig(try_autocache=False),
        )
    files: tuple[Path, ...] = getattr(place, split)
    labels = tf.constant(place.labels(files), tf.int64)
    return tf.data.Dataset.from_tensor_slices(([str(path) for path in files], labels))


def _fill(cache: tf.data.Dataset) -> Any:
    return cache.reduce(np.int64(0), lambda count, *_: count + 1)


def _decode(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Read an image, uint8; one in grey or with transparency becomes three colours, too."""
    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return image, label


def _resize(
    image: tf.Tensor, label: tf.Tensor, size: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    resized = tf.image.resize(image, size)
    return tf.cast(tf.round(resized), image.dtype), label


def _normalise(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.image.convert_image_dtype(images, tf.float32), labels
