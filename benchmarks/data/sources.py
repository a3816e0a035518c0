"""The description of a data set, of TFDS or a folder of images; no image is read here."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow_datasets as tfds

from benchmarks.data import builders, image_folder, own_data
from benchmarks.data.image_reader import Reader
from benchmarks.data.tfds_set import Tfds
from benchmarks.errors import InputError
from benchmarks.networks import Shape


class Place(Protocol):
    """The storage of a data set."""

    def labels(self, split: str, backend: str) -> np.ndarray:
        """Return the labels of a stored split; integers from 0."""

    def reader(self, split: str, image_shape: Shape, threads: int) -> Reader:
        """Return the images of a stored split by number, resized to a shape."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set and its storage."""

    name: str
    image_shape: tuple[int | None, int | None, int]
    """The height, width and channels; height and width are None if the images differ in size."""
    dtype: np.dtype[Any]
    """The dtype of a colour of a pixel."""
    classes: int
    images: Mapping[str, int]
    """The number of images of each split, by its name."""
    train: str
    """The name of the split for training."""
    validation: str | None
    """The name of the split for validation, if there is one."""
    test: str | None
    """The name of the split for testing, if there is one."""
    place: Place
    notes: tuple[str, ...] = ()
    """Notes for the user about the data set, in one sentence each."""


def find(name: str, data_dir: Path | None) -> Source:
    """Open a prepared data set.

    Args:
        name: name of a TFDS data set, `image_folder:PATH`, or import path of a function or of a
            TFDS builder class.
        data_dir: folder of the prepared data sets; None is TFDS's default.

    Raises:
        InputError: there is no such data set, or it has no labelled images.
    """
    if name.startswith(image_folder.PREFIX):
        source = _folder(name)
    elif own_data.is_path(name) and not builders.is_builder(own_data.call(name)):
        source = _arrays(name)
    else:
        source = _tfds(name, data_dir)
    if source.classes < 2:
        raise InputError("has only one class; at least two are needed", dataset=name)
    return source


def _folder(name: str) -> Source:
    folder = image_folder.find(name)
    test, validation = (name if name in folder.splits else None for name in ("test", "validation"))
    if test is None:
        test, validation = validation, None
    return Source(
        name=name,
        image_shape=folder.image_shape(),
        dtype=np.dtype(np.uint8),
        classes=len(folder.classes),
        images={split: len(files) for split, files in folder.splits.items()},
        train="train",
        validation=validation,
        test=test,
        place=folder,
        notes=folder.notes,
    )


def _arrays(name: str) -> Source:
    data = own_data.arrays(name, own_data.call(name))
    array, labels = data.splits["train"]
    return Source(
        name=name,
        image_shape=array.shape[1:],
        dtype=array.dtype,
        classes=int(labels.max()) + 1,
        images={split: len(labels) for split, (_, labels) in data.splits.items()},
        train="train",
        validation="validation" if "validation" in data.splits else None,
        test="test" if "test" in data.splits else None,
        place=data,
        notes=data.notes,
    )


def _tfds(name: str, data_dir: Path | None) -> Source:
    builder = builders.find(name, data_dir)
    info = builder.info
    features = info.features
    if info.supervised_keys != ("image", "label") or not isinstance(
        features["label"], tfds.features.ClassLabel
    ):
        raise InputError("not a data set of images with one class label each", dataset=name)
    train, validation, test = builders.splits(info)
    return Source(
        name=name,
        image_shape=features["image"].shape,
        dtype=np.dtype(features["image"].np_dtype),
        classes=features["label"].num_classes,
        images={split: of.num_examples for split, of in info.splits.items()},
        train=train,
        validation=validation,
        test=test,
        place=Tfds(builder),
    )
