"""Which images are trained on, chosen by and reported: of each class as many, at random."""

import dataclasses
from typing import Any

import numpy as np

from benchmarks.data.sources import Source
from benchmarks.errors import InputError

TEST = 0.2
"""Share of the training images that are reported, where a data set has no images for that."""

SEED = 0
"""Of what is held out. Runs of all seeds hold out the same images, so that they can be compared."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Images of a split as it is stored."""

    split: str
    """Its name."""
    count: int
    """Of the images."""
    numbers: np.ndarray | None = None
    """Of those images in the split, ascending; None: all of them."""

    @property
    def each(self) -> np.ndarray:
        """The numbers of all of them."""
        return np.arange(self.count) if self.numbers is None else self.numbers


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a run does with the images of a data set."""

    train: Part
    validation: Part | None
    test: Part

    @property
    def splits(self) -> set[str]:
        """The names of those they are in."""
        return {part.split for part in (self.train, self.validation, self.test) if part}


def divide(source: Source, validation: float, backend: str) -> Parts:
    """Divide a data set.

    Its own splits are used where it has them. Where it has none, images are held out of those to
    train on.

    Args:
        source: the data set.
        validation: share of the training images to hold out to choose by; 0 chooses by none.
        backend: which reads the labels.

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
                raise InputError(f"{few}, too few to hold some out to test on")
            parts[part] = Part(source.train, len(held), numbers[held])
            train = Part(source.train, len(numbers) - len(held), np.delete(numbers, held))
    return Parts(train=train, **parts)


def hold_out(labels: np.ndarray, share: float) -> np.ndarray:
    """Return the numbers of images that are held out: of each class the same share, at random.

    Of each class, at least one image is left.

    Args:
        labels: of all images; integers from 0.
        share: of them, between 0 and 1.

    Returns:
        `int(len(labels) * share)` numbers, ascending; fewer if classes have too few images.
    """
    random = np.random.default_rng(SEED)
    sizes = np.bincount(labels)
    exact = sizes * share
    most = np.maximum(sizes - 1, 0)
    counts = np.minimum(exact.astype(int), most)
    # One more for the classes that have lost the most by rounding; among equals, at random.
    by_loss = np.lexsort((random.random(len(sizes)), counts - exact))
    by_loss = by_loss[counts[by_loss] < most[by_loss]]
    counts[by_loss[: int(len(labels) * share) - counts.sum()]] += 1
    held = [
        random.permutation(np.flatnonzero(labels == label))[:count]
        for label, count in enumerate(counts)
    ]
    return np.sort(np.concatenate(held))
