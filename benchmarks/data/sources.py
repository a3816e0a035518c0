"""What a data set has, be it of TFDS or a folder of images. Nothing of it is read here."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from benchmarks.data import builders, image_folder
from benchmarks.data.image_folder import ImageFolder
from benchmarks.errors import InputError


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A data set of TFDS, and which of its splits are used."""

    builder: Any
    """Its `tfds.core.DatasetBuilder`."""
    train: str
    test: str


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set on the disk."""

    name: str
    image_shape: tuple[int | None, int | None, int]
    """Height, width, channels; None where images differ."""
    dtype: np.dtype[Any]
    """Of a colour of a pixel."""
    classes: int
    train_images: int
    test_images: int
    place: Tfds | ImageFolder


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
        name=name,
        image_shape=folder.image_shape(),
        dtype=np.dtype(np.uint8),
        classes=len(folder.classes),
        train_images=len(folder.train),
        test_images=len(folder.test),
        place=folder,
    )


def _tfds(name: str, data_dir: Path | None) -> Source:
    builder = builders.find(name, data_dir)
    features = builder.info.features
    if builder.info.supervised_keys != ("image", "label") or not isinstance(
        features["label"], tfds.features.ClassLabel
    ):
        raise InputError("not one of images with one class label each", dataset=name)
    train, test = builders.splits(builder.info)
    return Source(
        name=name,
        image_shape=features["image"].shape,
        dtype=np.dtype(features["image"].np_dtype),
        classes=features["label"].num_classes,
        train_images=builder.info.splits[train].num_examples,
        test_images=builder.info.splits[test].num_examples,
        place=Tfds(builder, train, test),
    )
