"""The user's own images, which a function of the user returns, as a data set in memory."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import machine, tensorflow_module
from benchmarks.data import images
from benchmarks.errors import InputError, one_line
from benchmarks.names import import_path
from benchmarks.networks import Shape

PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""The form `package.module:function`; a TFDS version, as in mnist:3.0.1, begins with a digit."""

LARGEST_SHARE_OF_MEMORY = 0.5
"""The largest share of the memory for a `tf.data.Dataset`, whose size is unknown."""

RIGHT = (
    "the function must return (images, labels), or a pair of these for training and testing, or a "
    "dictionary of them with train, validation and test, or a TFDS builder. A tf.data.Dataset of "
    "images and labels can replace (images, labels)"
)


@dataclasses.dataclass(frozen=True)
class OwnData:
    """A data set of arrays."""

    name: str
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    """Images (uint8, or float32 in [0, 1]; shape (count, height, width, channels)) and labels."""
    notes: tuple[str, ...]
    """Notes for the user on how the arrays are interpreted; each is one sentence."""

    def labels(self, split: str, backend: str) -> np.ndarray:
        """Return the labels of a split, for any backend."""
        return self.splits[split][1]

    def reader(self, split: str, image_shape: Shape, threads: int) -> "ArrayReader":
        """Return the images of a split by number."""
        return ArrayReader(*self.splits[split], image_shape)


class ArrayReader:
    """Decoded images by their numbers, like `ImageReader`."""

    failure: InputError | None = None
    """Always None, because the images were checked before."""

    def __init__(self, array: np.ndarray, labels: np.ndarray, image_shape: Shape) -> None:
        """Take images and labels.

        Args:
            array: images of shape (count, height, width, channels).
            labels: labels of shape (count,).
            image_shape: shape to which the images are resized.
        """
        self._kept = array, labels
        self._size = image_shape[:2]

    def __getitem__(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images of shape (len(numbers), height, width, channels), and their labels."""
        array, labels = self._kept
        found = array[numbers]
        if array.shape[1:3] != self._size:
            found = np.stack([images.resize(image, self._size) for image in found])
        return found, labels[numbers]

    def keep(self) -> None:
        """Resize all images now."""
        if self._kept[0].shape[1:3] != self._size:
            self._kept = self[np.arange(len(self._kept[0]))]


def is_path(name: str) -> bool:
    """Say whether the name of a data set is an import path."""
    return PATH.fullmatch(name) is not None


@functools.lru_cache(maxsize=1)  # a run calls this twice, and the function may be slow
def call(name: str) -> Any:
    """Return the result of the function at an import path, or a builder class.

    Raises:
        InputError: there is no such function, or it fails.
    """
    try:
        return _call(name)
    except InputError as error:
        if not isinstance(error.__cause__, ModuleNotFoundError) or (
            error.__cause__.name != "tensorflow"
        ):
            raise
        tensorflow_module.load()  # a process for another backend hides TensorFlow
        return _call(name)


def arrays(name: str, returned: Any) -> OwnData:
    """Interpret the result of the user's function.

    Raises:
        InputError: the result is not a set of labelled images.
    """
    parts = {split: _pair(name, split, part) for split, part in _parts(name, returned).items()}
    labels = {split: _labels(name, split, part[1]) for split, part in parts.items()}
    found = {split: _shape(name, split, part[0]) for split, part in parts.items()}
    shapes = {array.shape[1:] for array in found.values()}
    if len(shapes) > 1:
        raise InputError(
            f"its splits have images of different shapes: {sorted(shapes)}", dataset=name
        )
    for split, array in found.items():
        if len(array) != len(labels[split]):
            raise InputError(
                f"{split} has {len(array)} images and {len(labels[split])} labels", dataset=name
            )
        if not len(array):
            raise InputError(f"{split} has no images", dataset=name)
    _check_classes(name, labels)
    scaled, note = _scale(name, found)
    splits = {split: (scaled[split], labels[split]) for split in scaled}
    return OwnData(name, splits, (note,) if note else ())


def _call(name: str) -> Any:
    function = import_path(name, "dataset")
    if isinstance(function, type):
        return function
    try:
        return function()
    except Exception as error:
        raise InputError(one_line(error), dataset=name) from error


def _parts(name: str, returned: Any) -> dict[str, Any]:
    if isinstance(returned, Mapping):
        if "train" not in returned or not set(returned) <= {"train", "validation", "test"}:
            raise InputError(f"returned a dictionary with {list(returned)}; {RIGHT}", dataset=name)
        return {
            split: returned[split] for split in ("train", "validation", "test") if split in returned
        }
    if _is_dataset(returned):
        return {"train": returned}
    if isinstance(returned, list | tuple) and len(returned) == 2:
        if all(_is_dataset(part) or _is_pair(part) for part in returned):
            return dict(zip(("train", "test"), returned, strict=True))
        return {"train": returned}
    raise InputError(f"returned {type(returned).__name__}; {RIGHT}", dataset=name)


def _is_pair(part: Any) -> bool:
    """Whether `part` is images and labels, not only a list of labels."""
    return isinstance(part, list | tuple) and len(part) == 2 and not np.isscalar(part[0])


def _is_dataset(part: Any) -> bool:
    return hasattr(part, "as_numpy_iterator")


def _pair(name: str, split: str, part: Any) -> tuple[np.ndarray, np.ndarray]:
    try:
        if _is_dataset(part):
            return _read(name, split, part)
        found, labels = part
        return np.asarray(found), np.asarray(labels)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{split}: {one_line(error)}; {RIGHT}", dataset=name) from error


def _read(name: str, split: str, dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Read a `tf.data.Dataset` into memory; its elements may be batches."""
    if dataset.cardinality() == -1:
        raise InputError(f"{split} never ends; give it without `repeat`", dataset=name)
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise InputError(f"{split} has elements {spec}; {RIGHT}", dataset=name)
    if len(spec[0].shape) < 4 and len(spec[1].shape) < 1:
        dataset = dataset.batch(1024)
    found, labels, size = [], [], 0
    for batch, its_labels in dataset.as_numpy_iterator():
        size += batch.nbytes
        if size > LARGEST_SHARE_OF_MEMORY * machine.memory_bytes():
            raise InputError(
                f"{split} is larger than half of the memory; make it a data set of TFDS, which is "
                "read from the disk",
                dataset=name,
            )
        found.append(batch)
        labels.append(its_labels)
    if not found:
        raise InputError(f"{split} has no images", dataset=name)
    return np.concatenate(found), np.concatenate(labels)


def _labels(name: str, split: str, labels: np.ndarray) -> np.ndarray:
    """Return labels of shape (count,); the given ones may be a column or one-hot rows."""
    if labels.ndim == 2 and labels.shape[1] > 1 and _is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iufb":
        raise InputError(
            f"{split} has labels of shape {labels.shape} and type {labels.dtype}; expected: a "
            "whole number from 0 for each image",
            dataset=name,
        )
    whole = labels.astype(np.int64) if np.isfinite(labels).all() else None
    if whole is None or (whole != labels).any() or (whole < 0).any():
        wrong = labels[~np.isfinite(labels) | (labels < 0) | (labels != np.floor(labels))]
        raise InputError(
            f"{split} has the label {wrong[0]}; expected: a whole number from 0", dataset=name
        )
    return whole


def _is_one_hot(labels: np.ndarray) -> bool:
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def _check_classes(name: str, labels: Mapping[str, np.ndarray]) -> None:
    train = np.bincount(labels["train"])
    if not train.all():
        raise InputError(
            f"no training image has the label {int(np.argmin(train))}, but some have "
            f"{len(train) - 1}; labels must be numbers from 0 without a gap",
            dataset=name,
        )
    for split, of in labels.items():
        if of.max() >= len(train):
            raise InputError(
                f"{split} has the label {of.max()}; the labels of the training images end at "
                f"{len(train) - 1}",
                dataset=name,
            )


def _shape(name: str, split: str, array: np.ndarray) -> np.ndarray:
    """Return images of shape (count, height, width, channels)."""
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[3] not in images.MODES or array.dtype.kind not in "iufb":
        raise InputError(
            f"{split} has images of shape {array.shape} and type {array.dtype}; expected: numbers "
            "of shape (images, height, width) or (images, height, width, channels), with 1, 3 or "
            "4 channels",
            dataset=name,
        )
    return array


def _scale(name: str, found: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], str]:
    """Return the images as uint8 from 0 to 255, or else as float32 from 0 to 1 and a note.

    The note says how the pixels are interpreted. The range is decided for all splits together,
    because a single split may be dark.
    """
    for split, array in found.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            number = int(np.argmin(np.isfinite(array).all(axis=(1, 2, 3))))
            raise InputError(f"{split} has NaN or infinity in image {number}", dataset=name)
    low = float(min(array.min() for array in found.values()))
    high = float(max(array.max() for array in found.values()))
    kinds = {array.dtype.kind for array in found.values()}
    if low < 0 or high > 65535 or (high > 255 and "f" in kinds):
        raise InputError(
            f"its pixels are numbers from {low:g} to {high:g}; expected: 0 to 1, or 0 to 255 (a "
            "model may normalise them)",
            dataset=name,
        )
    if all(array.dtype == np.uint8 for array in found.values()) and high > 1:
        return dict(found), ""
    if high <= 1:
        what, largest = "from 0 to 1", 1.0
    elif high <= 255:
        what, largest = "from 0 to 255", 255.0
    else:
        what, largest = "of 16 bits, from 0 to 65535", 65535.0
    scaled = {
        split: array.astype(np.float32) / np.float32(largest) for split, array in found.items()
    }
    return scaled, f"its pixels are from {low:g} to {high:g}, and are taken as numbers {what}"
