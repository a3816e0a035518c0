"""What of a data set a run reads, and what it then has: the same for every way of reading."""

import dataclasses
from collections.abc import Callable
from typing import Any

from benchmarks import machine
from benchmarks.data import splits
from benchmarks.data.sources import Source
from benchmarks.data.splits import Parts
from benchmarks.errors import InputError
from benchmarks.networks import Shape
from benchmarks.run import RunConfig

RESIZED = (224, 224)
"""Height and width given to the images of a set whose images differ in size."""

LARGEST_SHARE_OF_MEMORY = 0.25
"""Of the machine's memory, for the decoded training images. A larger set is read from disk
in every epoch."""

MOST_LEFT_OUT = 0.05
"""Of the images to train on: if more than that fill no batch, it is said."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What of a data set is read, and how: the same on every backend."""

    config: RunConfig
    source: Source
    parts: Parts
    """Which images are trained on, chosen by and reported."""
    share: tuple[int, int]
    """Number of processes that train together, and which of them this is."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of it, in a sentence each."""
        left_out = self.images % self.config.batch_size
        said = list(self.source.notes)
        if self.source.test is None:
            said.append(
                f"it has no images to test on: {splits.TEST:.0%} of the images to train on are "
                "held out for that"
            )
        if left_out > MOST_LEFT_OUT * self.images:
            said.append(
                f"{left_out} of {self.images} training images are left out of each epoch, others "
                f"each time: they fill no batch of {self.config.batch_size}"
            )
        return tuple(said)

    @property
    def counts(self) -> dict[str, int]:
        """Of images and classes, as columns of a report; no images to choose by are blank."""
        parts = self.parts
        counts = {"train_images": parts.train.count, "test_images": parts.test.count}
        if parts.validation is not None:
            counts["validation_images"] = parts.validation.count
        return counts | {"classes": self.source.classes}

    @property
    def images(self) -> int:
        """That are trained on."""
        return self.parts.train.count

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the images are brought to."""
        if (edge := self.config.image_size) is not None:
            return edge, edge
        height, width, _ = self.source.image_shape
        return (height, width) if height and width else RESIZED

    @property
    def image_shape(self) -> Shape:
        """Of one image in a batch."""
        return (*self.size, self.source.image_shape[2])

    @property
    def image_bytes(self) -> int:
        """That a decoded image takes up."""
        height, width, channels = self.image_shape
        return height * width * channels * self.source.dtype.itemsize

    @property
    def in_memory(self) -> bool:
        """Whether the decoded images are kept there."""
        return self.images * self.image_bytes <= LARGEST_SHARE_OF_MEMORY * machine.memory_bytes()

    @property
    def steps(self) -> int:
        """In an epoch."""
        return self.images // self.config.batch_size


@dataclasses.dataclass(frozen=True)
class Data:
    """The splits of a data set as batches of (images, labels).

    Images are float32 in [0, 1] of shape (batch, height, width, channels),
    labels int64 of shape (batch,). The splits are `tf.data.Dataset`s of tensors on
    TensorFlow, elsewhere `grain_batches.Batches` of NumPy arrays.
    """

    plan: Plan
    train: Any
    """Each time that it is read, the next epoch: in another order, full batches only."""
    validation: Any | None
    """Those to choose by; like `test`."""
    test: Any
    """In order and complete: the last batch may be smaller."""
    caches: tuple[Callable[[], object], ...]
    """Each keeps a part of it in memory when it is called."""
    waited: Callable[[], float] | None
    """Says for how many seconds whoever reads `train` has waited for it so far, if that is
    measured."""
    begin_epoch: Callable[[int], None] = lambda epoch: None
    """Is to be told which epoch `fit` begins, counted from 0. tf.data counts itself."""
    failure: Callable[[], InputError | None] = lambda: None
    """Returns what was wrong with an image, if TensorFlow's own error does not say it."""

    @property
    def image_shape(self) -> Shape:
        """Height, width, channels."""
        return self.plan.image_shape

    @property
    def classes(self) -> int:
        """How many."""
        return self.plan.source.classes

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return self.plan.steps

    def fill_caches(self) -> None:
        """Read and decode the images now, so that no clock runs while it happens."""
        for fill in self.caches:
            fill()
