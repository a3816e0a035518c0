"""Divides images for training, validation and testing, at random within each class."""

import dataclasses
from typing import Any

import numpy as np

from benchmarks.data.sources import Source
from benchmarks.errors import InputError

TEST = 0.2
"""The share of the training images for testing, if a data set has no test images."""

SEED = 0
"""The seed of the draw. Runs of all seeds hold out the same images, so they can be compared."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Some images of a stored split."""

    split: str
    """The name of the split."""
    count: int
    """The number of images."""
    numbers: np.ndarray | None = None
    """The numbers of the images in the split, ascending; None: all of them."""

    @property
    def each(self) -> np.ndarray:
        """The numbers of all images of this part."""
        return np.arange(self.count) if self.numbers is None else self.numbers


@dataclasses.dataclass(frozen=True)
class Parts:
    """The images of a run for training, validation and testing."""

    train: Part
    validation: Part | None
    test: Part

    @property
    def splits(self) -> set[str]:
        """The names of the stored splits that contain the images."""
        return {part.split for part in (self.train, self.validation, self.test) if part}


def divide(source: Source, validation: float, backend: str) -> Parts:
    """Divide a data set.

    The data set's own splits are used if it has them. Otherwise images are held out of the training
    images.

    Args:
        source: the data set.
        validation: share of the training images to hold out for validation; 0 is no validation.
        backend: the backend that reads the labels.

    Raises:
        InputError: there are too few images.
    """
    train = Part(source.train, source.images[source.train])
    parts: dict[str, Any] = {"validation": None}
    for part, split, share in (
        ("test", source.test, TEST),
        ("validation", source.validation, validation),
    ):
        if split is not None and share:
            parts[part] = Part(split, source.images[split])
        elif share:
            labels = source.place.labels(source.train, backend)
            numbers = train.each
            held = hold_out(labels[numbers], share)
            if not len(held):
                few = f"{source.name} has only {len(numbers)} training images"
                if part == "validation":
                    raise InputError(few, validation=validation)
                raise InputError(f"{few}, too few to hold some out for testing")
            parts[part] = Part(source.train, len(held), numbers[held])
            train = Part(source.train, len(numbers) - len(held), np.delete(numbers, held))
    return Parts(train=train, **parts)


def hold_out(labels: np.ndarray, share: float) -> np.ndarray:
    """Return the numbers of images to hold out, at random, the same share of each class.

    At least one image of each class is left.

    Args:
        labels: labels of all images, integers from 0.
        share: share of the images to hold out, between 0 and 1.

    Returns:
        `int(len(labels) * share)` numbers, ascending; fewer if classes have too few images.
    """
    random = np.random.default_rng(SEED)
    sizes = np.bincount(labels)
    exact = sizes * share
    most = np.maximum(sizes - 1, 0)
    counts = np.minimum(exact.astype(int), most)
    # The classes that have lost most by rounding get one more image. Ties are broken at random.
    by_loss = np.lexsort((random.random(len(sizes)), counts - exact))
    by_loss = by_loss[counts[by_loss] < most[by_loss]]
    counts[by_loss[: int(len(labels) * share) - counts.sum()]] += 1
    held = [
        random.permutation(np.flatnonzero(labels == label))[:count]
        for label, count in enumerate(counts)
    ]
    return np.sort(np.concatenate(held))
