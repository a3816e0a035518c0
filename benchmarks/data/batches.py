"""A prepared data set as batches, read from the disk without a network."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks import machine
from benchmarks.data import augmentation, sources
from benchmarks.data.waiting import Waiting
from benchmarks.errors import InputError
from benchmarks.models import Shape

RESIZED = (224, 224)
"""Height and width given to the images of a set whose images differ in size."""

LARGEST_SHARE_OF_MEMORY = 0.25
"""Of the machine's memory, for the decoded training images. A larger set is read from disk
in every epoch."""

SHUFFLED_BYTES = 2**29
"""Of decoded images, from which the next is drawn at random: all of a small set, a window of a
large one. The same on every machine, for the same order."""


@dataclasses.dataclass(frozen=True)
class Data:
    """The splits of a data set as batches of (images, labels).

    Images are float32 in [0, 1] of shape (batch, height, width, channels),
    labels int64 of shape (batch,).
    """

    train: tf.data.Dataset
    """Shuffled anew in every epoch, full batches only."""
    validation: tf.data.Dataset | None
    """Training images that were held out; like `test`."""
    test: tf.data.Dataset
    """In order and complete: the last batch may be smaller."""
    image_shape: Shape
    classes: int
    steps_per_epoch: int
    caches: tuple[tf.data.Dataset, ...]
    """What of it is kept in memory."""
    waiting: Waiting | None
    """How long whoever reads `train` has waited for it, if that is measured."""

    def fill_caches(self) -> None:
        """Read and decode the images now, so that no clock runs while it happens."""
        for cache in self.caches:
            cache.reduce(np.int64(0), lambda count, *_: count + 1)


def load(
    name: str,
    batch_size: int,
    seed: int,
    data_dir: Path | None,
    *,
    validation: float = 0.0,
    augment: bool = False,
    image_size: int | None = None,
    workers: int | None = None,
    watch: bool = False,
    share: tuple[int, int] = (1, 0),
) -> Data:
    """Read a prepared data set.

    The decoded images are kept in memory, unless they are too large for it.
    Nothing is read yet: a damaged file shows when it is.

    Args:
        name: as for `prepare`, or `image_folder:PATH`.
        batch_size: images in a batch.
        seed: determines the order and the augmentation of the training images, on every machine.
        data_dir: where prepared data sets lie.
        validation: share of the training images to hold out; always the same ones.
        augment: flip and shift the training images at random.
        image_size: height and width to bring the images to; None keeps their own, or
            takes `RESIZED` where they differ.
        workers: threads that read; None leaves their number to tf.data.
        watch: measure how long the reader of the training images waits.
        share: (number of processes that train together, which of them this is). A process has a
            share of each training batch, and decodes no other training images.

    Raises:
        InputError: the data set is not one of labelled images, has less than
            one batch, or none to hold out, or cannot be augmented.
    """
    source = sources.find(name, data_dir)
    height, width, channels = source.image_shape
    own_size = (height, width) if height and width else RESIZED
    size = own_size if image_size is None else (image_size, image_size)
    # Only of a TFDS set of one size is it known that every image has it.
    resize = source.decode is not None or size != (height, width)

    if augment and channels != 3:
        raise InputError(
            f"{name} has no colour images; those of signs lose their sense", augment=True
        )
    held_out = int(source.train_images * validation)
    images = source.train_images - held_out
    if validation and not held_out:
        raise InputError(
            f"{name} has only {source.train_images} training images", validation=validation
        )
    if images < batch_size:
        raise InputError(f"{name} has only {images} training images", batch_size=batch_size)
    image_bytes = size[0] * size[1] * channels * source.value_bytes
    in_memory = images * image_bytes <= LARGEST_SHARE_OF_MEMORY * machine.memory_bytes()

    def decode(records: tf.data.Dataset) -> tf.data.Dataset:
        if source.decode is not None:
            records = records.map(source.decode, tf.data.AUTOTUNE)
        if resize:
            records = records.map(functools.partial(_resize, size=size), tf.data.AUTOTUNE)
        return records

    def keep(dataset: tf.data.Dataset) -> tf.data.Dataset:
        kept.append(dataset.cache() if in_memory else dataset)
        return kept[-1]

    def own(images: tf.data.Dataset) -> tf.data.Dataset:
        return images if share == (1, 0) else images.shard(*share)

    def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
        # After batching, for one operation a batch, and after the cache, which holds bytes.
        dataset = dataset.map(_normalise, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        options = tf.data.Options()
        if workers is not None:
            options.threading.private_threadpool_size = workers
        return dataset.with_options(options)

    kept: list[tf.data.Dataset] = []
    train_records = source.train().skip(held_out)
    # The memory of the machine says what is kept, but never in which order images come: a
    # shuffling of as many elements by the same seed is the same, whatever they are.
    if source.decode is None:
        buffer = min(images, max(SHUFFLED_BYTES // image_bytes, 1))
        train = own(keep(decode(train_records)).shuffle(buffer, seed=seed))
    elif in_memory:
        train = own(keep(decode(train_records)).shuffle(images, seed=seed))
    else:
        train = decode(own(train_records.shuffle(images, seed=seed)))
    # A smaller batch would compile again.
    train = train.batch(batch_size // share[0], drop_remainder=True)
    if augment:
        train = augmentation.augment(train, seed + share[1])
    train = finish(train)
    test = finish(keep(decode(source.test())).batch(batch_size))
    validation_images = None
    if held_out:
        validation_images = finish(keep(decode(source.train().take(held_out))).batch(batch_size))
    waiting = Waiting() if watch else None
    return Data(
        train=train if waiting is None else waiting.measure(train),
        validation=validation_images,
        test=test,
        image_shape=(*size, channels),
        classes=source.classes,
        steps_per_epoch=images // batch_size,
        caches=tuple(kept) if in_memory else (),
        waiting=waiting,
    )


def _resize(
    image: tf.Tensor, label: tf.Tensor, size: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    resized = tf.image.resize(image, size)
    return tf.cast(tf.round(resized), image.dtype), label


def _normalise(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.image.convert_image_dtype(images, tf.float32), labels
