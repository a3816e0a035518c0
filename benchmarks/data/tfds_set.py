"""A data set of TFDS, with its images by number, and their labels."""

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow_datasets as tfds

from benchmarks.data import images, random_access
from benchmarks.data.image_reader import ImageReader
from benchmarks.errors import InputError, one_line
from benchmarks.networks import Shape

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A prepared data set of TFDS."""

    builder: Any
    """The `tfds.core.DatasetBuilder` of the data set."""

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(self.builder.info.features["label"].num_classes)

    def wrong_label(self, split: str, label: int) -> InputError:
        """Return the error for a label that is not one of the classes.

        TFDS refuses labels that are too large when it prepares a set, but not -1. The code of the
        builder may also have changed since.
        """
        return InputError(
            f"{split} has the label {label}; expected: 0 to {self.classes - 1}"
            + (" (TFDS takes -1 for an image without a label)" if label == -1 else ""),
            dataset=self.builder.name,
        )

    def labels(self, split: str, backend: str) -> np.ndarray:
        """Return the labels of a split, in the order of the files.

        They are read once, which takes as long as reading all images, and are kept in a file beside
        the data.

        Raises:
            InputError: a label is not one of the classes.
        """
        kept = Path(self.builder.data_dir) / f"labels-{split}.npy"
        count = self.builder.info.splits[split].num_examples
        with contextlib.suppress(OSError, ValueError):
            labels: np.ndarray = np.load(kept)
            if labels.shape == (count,) and labels.min() >= 0 and labels.max() < self.classes:
                return labels
        labels = np.full(count, -1)
        if random_access.needed(backend):
            records = self._records(split)
            for number in range(count):
                labels[number] = records[number][1]
        else:
            for number, label in (
                self.numbered(split)
                .map(lambda number, record: (number, record["label"]))
                .batch(1024)
            ).as_numpy_iterator():
                labels[number] = label
        if len(wrong := labels[(labels < 0) | (labels >= self.classes)]):
            raise self.wrong_label(split, wrong[0])
        new = kept.with_name(f".new-{os.getpid()}-{kept.name}")
        with contextlib.suppress(OSError):  # a folder that cannot be written to
            with new.open("wb") as file:
                np.save(file, labels)
            new.replace(kept)
        return labels

    def reader(self, split: str, image_shape: Shape, threads: int) -> ImageReader:
        """Return a split's images by number, without TensorFlow.

        Raises:
            InputError: the images have more than 8 bits a colour, or cannot be read in any order.
        """
        dtype, channels = np.dtype(self.builder.info.features["image"].np_dtype), image_shape[2]
        if dtype != np.uint8 or channels not in images.MODES:
            raise InputError(
                f"has images of {channels} channels in {dtype}; jax and torch read those of "
                f"{', '.join(map(str, images.MODES))} channels in uint8",
                dataset=self.builder.name,
            )
        return ImageReader(self.builder.name, self._records(split), image_shape, threads)

    def _records(self, split: str) -> Sequence[tuple[bytes, int]]:
        if not random_access.has(self.builder):
            raise InputError(
                "prepared without the files that jax and torch read; `python -m benchmarks data "
                "prepare --backend jax` adds them",
                dataset=self.builder.name,
            )
        return _Records(self, split)

    def numbered(self, split: str) -> "tf.data.Dataset":
        """Return pairs of a number and {"image": undecoded, "label": a number}, as tensors.

        The numbers are those of `reader`. The files are read one after the other, because only then
        a running count gives these numbers. TFDS's own ids are strings, and reading them takes
        longer than reading the images.
        """
        dataset: tf.data.Dataset = self.builder.as_dataset(
            split=split,
            decoders={"image": tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1),
        )
        return dataset.enumerate()


class _Records(Sequence[tuple[bytes, int]]):
    """The bytes of each image's file, and its label."""

    def __init__(self, place: Tfds, split: str) -> None:
        self._place, self._split, self._classes = place, split, place.classes
        self._records = random_access.records(place.builder, split)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: Any) -> Any:
        try:
            record = self._records[number]
            image, label = record["image"], record["label"]
        except Exception as error:  # of the file format, or of TFDS without data
            raise InputError(
                f"record {number} cannot be read ({one_line(error)}); `python -m benchmarks data "
                "verify` names the damaged file",
                dataset=self._place.builder.name,
            ) from error
        if not 0 <= label < self._classes:
            raise self._place.wrong_label(self._split, label)
        return image, label
