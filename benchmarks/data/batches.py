"""A prepared data set as batches, read from the disk without a network."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.data import sources, splits
from benchmarks.data.sources import Source
from benchmarks.data.splits import Parts
from benchmarks.errors import InputError
from benchmarks.models import Shape

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

    source: Source
    size: tuple[int, int]
    """Height and width that the images are brought to."""
    batch_size: int
    seed: int
    parts: Parts
    """Which images are trained on, chosen by and reported."""
    augment: bool
    workers: int | None
    watch: bool
    share: tuple[int, int]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of it, in a sentence each."""
        left_out = self.images % self.batch_size
        said = list(self.source.notes)
        if self.source.test is None:
            said.append(
                f"it has no images to test on: {splits.TEST:.0%} of the images to train on are "
                "held out for that"
            )
        if left_out > MOST_LEFT_OUT * self.images:
            said.append(
                f"{left_out} of {self.images} training images are left out of each epoch, others "
                f"each time: they fill no batch of {self.batch_size}"
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
        return self.images // self.batch_size


@dataclasses.dataclass(frozen=True)
class Data:
    """The splits of a data set as batches of (images, labels).

    Images are float32 in [0, 1] of shape (batch, height, width, channels),
    labels int64 of shape (batch,). The splits are `tf.data.Dataset`s of tensors or, on the JAX
    backend, `grain_batches.Batches` of NumPy arrays.
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


def load(
    name: str,
    batch_size: int,
    seed: int,
    data_dir: Path | None,
    *,
    backend: str = "tensorflow",
    validation: float = 0.0,
    augment: bool = False,
    image_size: int | None = None,
    workers: int | None = None,
    watch: bool = False,
    share: tuple[int, int] = (1, 0),
) -> Data:
    """Read a prepared data set.

    The decoded images are kept in memory, unless they are too large for it.
    Nothing is read yet: a damaged file shows when it is.

    Args:
        name: as for `sources.find`.
        batch_size: images in a batch.
        seed: determines the order and the augmentation of the training images, on every machine.
            Each backend makes another order of it.
        data_dir: where prepared data sets lie.
        backend: "tensorflow" reads with tf.data, the others with Grain, without TensorFlow.
        validation: share of the training images to hold out, always the same ones; if it is not
            0 and the data set has images to choose by, it is these.
        augment: flip and shift the training images at random.
        image_size: height and width to bring the images to; None keeps their own, or
            takes `RESIZED` where they differ.
        workers: threads that read; None leaves their number to what reads.
        watch: measure how long the reader of the training images waits.
        share: (number of processes that train together, which of them this is), on "jax". A
            process has a share of each training batch, and decodes no other training images.

    Raises:
        InputError: the data set is not one of labelled images, has less than
            one batch, or none to hold out, or cannot be augmented, or not be read on this backend.
    """
    source = sources.find(name, data_dir)
    height, width, channels = source.image_shape
    own_size = (height, width) if height and width else RESIZED

    if augment and channels != 3:
        raise InputError(
            f"{name} has no colour images; those of signs lose their sense", augment=True
        )
    parts = splits.divide(source, validation, backend)
    if parts.train.count < batch_size:
        raise InputError(
            f"{name} has only {parts.train.count} training images", batch_size=batch_size
        )
    plan = Plan(
        source=source,
        size=own_size if image_size is None else (image_size, image_size),
        batch_size=batch_size,
        seed=seed,
        parts=parts,
        augment=augment,
        workers=workers,
        watch=watch,
        share=share,
    )
    if backend != "tensorflow":
        from benchmarks.data import grain_batches

        return grain_batches.read(plan)
    from benchmarks.data import tensorflow_batches

    return tensorflow_batches.read(plan)
