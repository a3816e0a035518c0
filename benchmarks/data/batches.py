"""Reads a prepared data set from the disk as batches, without a network."""

from pathlib import Path
from typing import Any

from benchmarks.data import random_access, sources, splits
from benchmarks.data.plan import Data, Plan
from benchmarks.errors import InputError
from benchmarks.run import RunConfig


def load(config: RunConfig, data_dir: Path | None, share: tuple[int, int] = (1, 0)) -> Data:
    """Open the prepared data set of a run.

    The decoded images are kept in memory, unless they are too large for it. Nothing is read yet, so
    a damaged file is found later.

    The seed determines the order and the augmentation of the training images, on every machine.
    With the same seed, tf.data and Grain have different orders. The images that are held out do not
    depend on the seed.

    Args:
        config: the run.
        data_dir: folder of the prepared data sets; None is TFDS's default.
        share: (number of processes that train together, number of this process), on "jax". A
            process has a share of each training batch, and decodes only these training images.

    Raises:
        InputError: the data set has no labelled images, has less than one batch, has no images to
        hold out, cannot be augmented, or cannot be read on this backend.
    """
    source = sources.find(config.dataset, data_dir)
    if config.augment and source.image_shape[2] != 3:
        raise InputError(
            f"{source.name} has no colour images; flipped characters would lose their meaning",
            augment=True,
        )
    parts = splits.divide(source, config.validation, config.backend)
    if parts.train.count < config.batch_size:
        raise InputError(
            f"{source.name} has only {parts.train.count} training images",
            batch_size=config.batch_size,
        )
    data: Data = reader(config.backend).read(Plan(config, source, parts, share))
    return data


def reader(backend: str) -> Any:
    """Import and return the reading module of a backend; its `read` turns a `Plan` into `Data`."""
    if random_access.needed(backend):
        from benchmarks.data import grain_batches

        return grain_batches
    from benchmarks.data import tensorflow_batches

    return tensorflow_batches
