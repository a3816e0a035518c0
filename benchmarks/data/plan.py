"""The images that a run reads, and the data that it gets; both have one form for every reader."""

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
"""The height and width of the images of a set if their sizes differ."""

LARGEST_SHARE_OF_MEMORY = 0.25
"""The largest share of the machine's memory for the decoded training images. A larger set is read
from the disk in every epoch."""

MOST_LEFT_OUT = 0.05
"""If a larger share of the training images fills no batch, a note says so."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The images of a data set that a run reads, and how it reads them, on any backend."""

    config: RunConfig
    source: Source
    parts: Parts
    """The images for training, validation and testing."""
    share: tuple[int, int]
    """The number of processes that train together, and the number of this one."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user about the data, in one sentence each."""
        left_out = self.images % self.config.batch_size
        said = list(self.source.notes)
        if self.config.image_size is None and not all(self.source.image_shape[:2]):
            said.append(
                f"its images differ in size, so they are resized to {RESIZED[0]} x {RESIZED[1]}; "
                "--image-size N chooses another size"
            )
        if self.source.test is None:
            said.append(
                f"it has no test images, so {splits.TEST:.0%} of the training images are held out "
                "for testing"
            )
        if left_out > MOST_LEFT_OUT * self.images:
            said.append(
                f"{left_out} of {self.images} training images, different ones each time, are left "
                f"out of each epoch, because they do not fill a batch of {self.config.batch_size}"
            )
        return tuple(said)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of images and classes, as columns of a report.

        Without validation, the column `validation_images` is left out.
        """
        parts = self.parts
        counts = {"train_images": parts.train.count, "test_images": parts.test.count}
        if parts.validation is not None:
            counts["validation_images"] = parts.validation.count
        return counts | {"classes": self.source.classes}

    @property
    def images(self) -> int:
        """The number of training images."""
        return self.parts.train.count

    @property
    def size(self) -> tuple[int, int]:
        """The height and width to which the images are resized."""
        if (edge := self.config.image_size) is not None:
            return edge, edge
        height, width, _ = self.source.image_shape
        return (height, width) if height and width else RESIZED

    @property
    def image_shape(self) -> Shape:
        """The shape of one image in a batch."""
        return (*self.size, self.source.image_shape[2])

    @property
    def image_bytes(self) -> int:
        """The number of bytes of a decoded image."""
        height, width, channels = self.image_shape
        return height * width * channels * self.source.dtype.itemsize

    @property
    def in_memory(self) -> bool:
        """Whether the decoded images are kept in memory."""
        return self.images * self.image_bytes <= LARGEST_SHARE_OF_MEMORY * machine.memory_bytes()

    @property
    def steps(self) -> int:
        """The number of steps in an epoch."""
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
    """The training batches. Each reading gives the next epoch, in another order, with full batches
    only."""
    validation: Any | None
    """The validation batches, like `test`."""
    test: Any
    """The test batches, in order and complete; the last one may be smaller."""
    caches: tuple[Callable[[], object], ...]
    """Functions that each keep a part of the data in memory."""
    waited: Callable[[], float] | None
    """Returns the seconds that the reader of `train` has waited for it so far, if measured."""
    begin_epoch: Callable[[int], None] = lambda epoch: None
    """Must be called when `fit` begins an epoch, with its number from 0. With tf.data the call does
    nothing, because tf.data counts the epochs itself."""
    failure: Callable[[], InputError | None] = lambda: None
    """Returns the error of an image, if TensorFlow's own error does not contain it."""

    @property
    def image_shape(self) -> Shape:
        """The height, width and channels of an image."""
        return self.plan.image_shape

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.plan.source.classes

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return self.plan.steps

    def fill_caches(self) -> None:
        """Read and decode the images now, before any clock runs."""
        for fill in self.caches:
            fill()
