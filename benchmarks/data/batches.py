"""A prepared data set as batches, read from the disk without a network."""

import dataclasses
from pathlib import Path

import numpy as np
import psutil
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks.data import augmentation, builders
from benchmarks.data.waiting import Waiting
from benchmarks.errors import InputError
from benchmarks.models import Shape

RESIZED = (224, 224)
"""Height and width given to the images of a set whose images differ in size."""

LARGEST_SHARE_OF_MEMORY = 0.25
"""Of the machine's memory, for the decoded training images. A larger set is read from disk
in every epoch."""


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
    workers: int | None = None,
    watch: bool = False,
) -> Data:
    """Read a prepared data set.

    The decoded images are kept in memory, unless they are too large for it.
    Nothing is read yet: a damaged file shows when it is.

    Args:
        name: as for `prepare`, or `image_folder:PATH`.
        batch_size: images in a batch.
        seed: determines the order and the augmentation of the training images.
        data_dir: where prepared data sets lie.
        validation: share of the training images to hold out; always the same ones.
        augment: flip and shift the training images at random.
        workers: threads that read; None leaves their number to tf.data.
        watch: measure how long the reader of the training images waits.

    Raises:
        InputError: the data set is not one of labelled images, has less than
            one batch, or none to hold out, or cannot be augmented.
    """
    builder = builders.find(name, data_dir)
    features = builder.info.features
    if builder.info.supervised_keys != ("image", "label") or not isinstance(
        features["label"], tfds.features.ClassLabel
    ):
        raise InputError("not one of images with one class label each", dataset=name)
    height, width, channels = features["image"].shape
    resize = height is None or width is None
    image_shape = (*RESIZED, channels) if resize else (height, width, channels)

    if augment and channels != 3:
        raise InputError(
            f"{name} has no colour images; those of signs lose their sense", augment=True
        )

    train_split, test_split = builders.splits(builder.info)
    labelled = builder.info.splits[train_split].num_examples
    held_out = int(labelled * validation)
    images = labelled - held_out
    if validation and not held_out:
        raise InputError(f"{name} has only {labelled} training images", validation=validation)
    if images < batch_size:
        raise InputError(f"{name} has only {images} training images", batch_size=batch_size)
    image_bytes = int(np.prod(image_shape)) * np.dtype(features["image"].np_dtype).itemsize
    memory_images = int(LARGEST_SHARE_OF_MEMORY * psutil.virtual_memory().total) // image_bytes
    in_memory = images <= memory_images

    def read(split: str, shuffle_files: bool, part: slice = slice(None)) -> tf.data.Dataset:
        dataset = builder.as_dataset(
            split=split,
            as_supervised=True,
            shuffle_files=shuffle_files,
            read_config=tfds.ReadConfig(shuffle_seed=seed, try_autocache=False),
        )
        # Before the images are resized: those of the other part need not be.
        dataset = dataset.skip(part.start or 0).take(-1 if part.stop is None else part.stop)
        if resize:
            dataset = dataset.map(_resize, tf.data.AUTOTUNE)
        return dataset.cache() if in_memory else dataset

    def batches(dataset: tf.data.Dataset, drop_remainder: bool = False) -> tf.data.Dataset:
        return dataset.batch(batch_size, drop_remainder)

    def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
        # After batching, for one operation a batch, and after the cache, which holds bytes.
        dataset = dataset.map(_normalise, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        options = tf.data.Options()
        if workers is not None:
            options.threading.private_threadpool_size = workers
        return dataset.with_options(options)

    # Shuffled files change which images come first: not if that decides which are held out.
    train_images = read(train_split, not in_memory and not held_out, slice(held_out, None))
    test_images = read(test_split, shuffle_files=False)
    kept = [train_images, test_images]
    train = train_images.shuffle(min(images, memory_images), seed=seed)
    train = batches(train, drop_remainder=True)  # a smaller batch would compile again
    if augment:
        train = augmentation.augment(train, seed)
    validation_images = None
    if held_out:
        validation_images = read(train_split, shuffle_files=False, part=slice(held_out))
        kept.append(validation_images)
    train = finish(train)
    waiting = Waiting() if watch else None
    return Data(
        train=train if waiting is None else waiting.measure(train),
        validation=None if validation_images is None else finish(batches(validation_images)),
        test=finish(batches(test_images)),
        image_shape=image_shape,
        classes=features["label"].num_classes,
        steps_per_epoch=images // batch_size,
        caches=tuple(kept) if in_memory else (),
        waiting=waiting,
    )


def _resize(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    resized = tf.image.resize(image, RESIZED)
    return tf.cast(tf.round(resized), image.dtype), label


def _normalise(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.image.convert_image_dtype(images, tf.float32), labels
