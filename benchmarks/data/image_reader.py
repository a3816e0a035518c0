"""Images of a split by their numbers, read without TensorFlow."""

import concurrent.futures
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.data import images
from benchmarks.errors import InputError, one_line
from benchmarks.networks import Shape

Batch = tuple[np.ndarray, np.ndarray]
"""Images and labels."""

KEPT_AT_ONCE = 256
"""The number of images that a thread decodes at a time, when all are kept in memory."""


class Reader(Protocol):
    """The images of a split by their numbers, and their labels."""

    failure: InputError | None
    """The last error; TensorFlow's own message does not name the file."""

    def __getitem__(self, numbers: np.ndarray) -> Batch:
        """Return images of shape (len(numbers), height, width, channels), and their labels.

        Raises:
            InputError: an image is damaged.
        """

    def keep(self) -> None:
        """Decode all images into memory."""


def normalise(batch: np.ndarray) -> np.ndarray:
    """Convert images from 0 to 255 to float32 in [0, 1]; float32 images have this range already."""
    if batch.dtype == np.float32:
        return batch
    return np.multiply(batch, np.float32(1 / 255), dtype=np.float32)


class ImageReader:
    """Images of a split by their numbers, as uint8, and their labels."""

    def __init__(
        self,
        name: str,
        records: Sequence[tuple[Path | bytes, int]],
        image_shape: Shape,
        threads: int,
    ) -> None:
        """Take encoded images (each a path or the bytes of a file) and labels.

        Args:
            name: name of the data set.
            records: image and label, by number.
            image_shape: shape to which the images are resized.
            threads: number of threads that decode when all images are kept.
        """
        self.failure: InputError | None = None
        """The last error; TensorFlow's own message does not name the file."""
        self._name = name
        self._records = records
        self._shape = image_shape
        self._threads = threads
        self._kept: Batch | None = None

    def __getitem__(self, numbers: np.ndarray) -> Batch:
        """Return images of shape (len(numbers), height, width, channels), and their labels.

        Raises:
            InputError: an image is damaged.
        """
        if self._kept is not None:
            return self._kept[0][numbers], self._kept[1][numbers]
        found, labels = self._empty(len(numbers))
        for place, number in enumerate(numbers):
            found[place], labels[place] = self._decode(int(number))
        return found, labels

    def keep(self) -> None:
        """Decode all images into memory."""
        count = len(self._records)
        kept = self._empty(count)

        def decode(numbers: np.ndarray) -> None:
            kept[0][numbers], kept[1][numbers] = self[numbers]

        with concurrent.futures.ThreadPoolExecutor(self._threads) as threads:
            parts = np.array_split(np.arange(count), math.ceil(count / KEPT_AT_ONCE))
            for _ in threads.map(decode, parts):
                pass
        self._kept = kept

    def _empty(self, count: int) -> Batch:
        return np.empty((count, *self._shape), np.uint8), np.empty(count, np.int64)

    def _decode(self, number: int) -> tuple[np.ndarray, int]:
        file, label = self._records[number]
        try:
            return images.decode(file, self._shape[2], self._shape[:2]), label
        except Exception as error:  # each format has its own
            what = file if isinstance(file, Path) else f"image {number}"
            self.failure = InputError(
                f"{what}: {one_line(error)}; `python -m benchmarks data verify` names all that "
                "cannot be read",
                dataset=self._name,
            )
            raise self.failure from error
