"""What a data set has and how it is read, be it of TFDS or a folder of images."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks.data import builders, image_folder
from benchmarks.errors import InputError


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set on the disk, of which nothing has been read."""

    image_shape: tuple[int | None, int | None, int]
    """Height, width, channels; None where images differ."""
    value_bytes: int
    """Of a colour of a pixel."""
    classes: int
    train_images: int
    train: Callable[[], tf.data.Dataset]
    """Its records, always in the same order."""
    test: Callable[[], tf.data.Dataset]
    decode: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None
    """From a record to image and label; None if the records are that already."""


def find(name: str, data_dir: Path | None) -> Source:
    """Open a prepared data set.

    Args:
        name: name of a TFDS data set, or `image_folder:PATH`.
        data_dir: where prepared data sets lie; None is TFDS's default.

    Raises:
        InputError: there is none, or it is not one of labelled images.
    """
    return _folder(name) if name.startswith(image_folder.PREFIX) else _tfds(name, data_dir)


def _folder(name: str) -> Source:
    folder = image_folder.find(name)
    return Source(
        image_shape=folder.image_shape(),
        value_bytes=1,
        classes=len(folder.classes),
        train_images=len(folder.train),
        train=lambda: folder.records(folder.train),
        test=lambda: folder.records(folder.test),
        decode=image_folder.decode,
    )


def _tfds(name: str, data_dir: Path | None) -> Source:
    builder = builders.find(name, data_dir)
    features = builder.info.features
    if builder.info.supervised_keys != ("image", "label") or not isinstance(
        features["label"], tfds.features.ClassLabel
    ):
        raise InputError("not one of images with one class label each", dataset=name)
    train, test = builders.splits(builder.info)

    def read(split: str) -> tf.data.Dataset:
        # Files are not shuffled: the records in them were when the set was prepared, and what
        # is kept in memory would have one order for ever.
        return builder.as_dataset(
            split=split,
            as_supervised=True,
            read_config=tfds.ReadConfig(try_autocache=False),
        )

    return Source(
        image_shape=features["image"].shape,
        value_bytes=np.dtype(features["image"].np_dtype).itemsize,
        classes=features["label"].num_classes,
        train_images=builder.info.splits[train].num_examples,
        train=lambda: read(train),
        test=lambda: read(test),
        decode=None,
    )
