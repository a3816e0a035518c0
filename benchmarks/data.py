"""From the name of a data set to batches: every TFDS image classification data set.

`prepare` brings a data set onto the disk (network or original files, once);
`load` reads it from there (no network, every run).
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import psutil
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks import (
    augmentation,
    digits,  # noqa: F401  registers the embedded data set with TFDS
    originals,
)
from benchmarks.config import InputError, nearest, one_line
from benchmarks.models import Shape
from benchmarks.waiting import Waiting

RESIZED = (224, 224)
"""Height and width given to the images of a set whose images differ in size."""

LARGEST_SHARE_OF_MEMORY = 0.25
"""Of the machine's memory, for the decoded training images. A larger set is read from disk
in every epoch."""

UNLABELLED_TEST = ("imagenet2012", "i_naturalist2017", "i_naturalist2018")
"""Sets whose authors keep the labels of the test split; TFDS fills in -1."""


VALIDATION = ("validation", "val")
"""Names of the split that is reported where there is no labelled test split."""

IMAGE_FOLDER = "image_folder:"
"""Before the path of a folder of images, TRAIN-OR-TEST/CLASS/IMAGE, in the place of a name."""


@dataclasses.dataclass(frozen=True)
class Data:
    """The splits of a data set as batches of (images, labels).

    Images are float32 in [0, 1] of shape (batch, height, width, channels),
    labels int64 of shape (batch,).
    """

    train: tf.data.Dataset
    """Shuffled anew in every epoch, full batches only."""
    validation: tf.data.Dataset | None
    """Training images that were held out; like `test`."""
    test: tf.data.Dataset
    """In order and complete: the last batch may be smaller."""
    image_shape: Shape
    classes: int
    steps_per_epoch: int
    caches: tuple[tf.data.Dataset, ...]
    """What of it is kept in memory."""
    waiting: Waiting | None
    """How long whoever reads `train` has waited for it, if that is measured."""

    def fill_caches(self) -> None:
        """Read and decode the images now, so that no clock runs while it happens."""
        for cache in self.caches:
            cache.reduce(np.int64(0), lambda count, *_: count + 1)


def prepare(name: str, data_dir: Path | None, manual_dir: Path | None) -> Path:
    """Download or convert the data set `name`, unless that is done, and return its folder.

    TFDS checks the SHA-256 of every original file. A lock keeps two processes
    from preparing the same data set at once.

    Args:
        name: name of a TFDS data set, `name`, `name/config` or `name:version`.
        data_dir: where prepared data sets lie; None is TFDS's default.
        manual_dir: folder with the original files; None downloads them.

    Raises:
        InputError: the name is unknown, the files are missing or wrong, or the
            network is out of reach.
    """
    builder = _builder(name, data_dir)
    if name.startswith(IMAGE_FOLDER) or builder.is_prepared():
        return Path(builder.data_dir)
    if manual_dir is not None and not manual_dir.is_dir():
        raise InputError(f"--manual-dir {str(manual_dir)!r}: no such folder")
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        root = Path(builder.data_dir).parents[1]
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / f".{builder.name}.lock"):
            if builder.is_prepared():
                return Path(builder.data_dir)
            originals.check(builder, manual_dir)
            with contextlib.redirect_stdout(None):  # the progress bar on stderr says enough
                builder.download_and_prepare(
                    download_config=tfds.download.DownloadConfig(
                        manual_dir=manual_dir,
                        force_checksums_validation=True,
                        try_download_gcs=False,
                    )
                )
    except InputError:
        raise
    except Exception as error:  # whatever TFDS meets: the user needs to know which data set
        raise InputError(f"data set {name!r} could not be prepared: {one_line(error)}") from error
    return Path(builder.data_dir)


def prepare_all(
    names: Iterable[str],
    data_dir: Path | None,
    manual_dir: Path | None,
    send: Callable[[tuple[str, Path]], None],
) -> None:
    """`prepare` each data set and send its name and folder."""
    for name in names:
        send((name, prepare(name, data_dir, manual_dir)))


def load(
    name: str,
    batch_size: int,
    seed: int,
    data_dir: Path | None,
    *,
    validation: float = 0.0,
    augment: bool = False,
    workers: int | None = None,
    watch: bool = False,
) -> Data:
    """Read a prepared data set.

    The decoded images are kept in memory, unless they are too large for it.
    Nothing is read yet: a damaged file shows when it is.

    Args:
        name: as for `prepare`, or `image_folder:PATH`.
        batch_size: images in a batch.
        seed: determines the order and the augmentation of the training images.
        data_dir: where prepared data sets lie.
        validation: share of the training images to hold out; always the same ones.
        augment: flip and shift the training images at random.
        workers: threads that read; None leaves their number to tf.data.
        watch: measure how long the reader of the training images waits.

    Raises:
        InputError: the data set is not one of labelled images, has less than
            one batch, or none to hold out, or cannot be augmented.
    """
    builder = _builder(name, data_dir)
    features = builder.info.features
    if builder.info.supervised_keys != ("image", "label") or not isinstance(
        features["label"], tfds.features.ClassLabel
    ):
        raise InputError(f"data set {name!r} is not one of images with one class label each")
    height, width, channels = features["image"].shape
    resize = height is None or width is None
    image_shape = (*RESIZED, channels) if resize else (height, width, channels)

    if augment and channels != 3:
        raise InputError(f"--augment: {name} has no colour images; those of signs lose their sense")

    train_split, test_split = _splits(builder.info)
    labelled = builder.info.splits[train_split].num_examples
    held_out = int(labelled * validation)
    images = labelled - held_out
    if validation and not held_out:
        raise InputError(f"--validation {validation}: {name} has only {labelled} training images")
    if images < batch_size:
        raise InputError(f"--batch-size {batch_size}: {name} has only {images} training images")
    image_bytes = int(np.prod(image_shape)) * np.dtype(features["image"].np_dtype).itemsize
    memory_images = int(LARGEST_SHARE_OF_MEMORY * psutil.virtual_memory().total) // image_bytes
    in_memory = images <= memory_images

    def read(split: str, shuffle_files: bool, part: slice = slice(None)) -> tf.data.Dataset:
        dataset = builder.as_dataset(
            split=split,
            as_supervised=True,
            shuffle_files=shuffle_files,
            read_config=tfds.ReadConfig(shuffle_seed=seed, try_autocache=False),
        )
        # Before the images are resized: those of the other part need not be.
        dataset = dataset.skip(part.start or 0).take(-1 if part.stop is None else part.stop)
        if resize:
            dataset = dataset.map(_resize, tf.data.AUTOTUNE)
        return dataset.cache() if in_memory else dataset

    def batches(dataset: tf.data.Dataset, drop_remainder: bool = False) -> tf.data.Dataset:
        return dataset.batch(batch_size, drop_remainder)

    def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
        # After batching, for one operation a batch, and after the cache, which holds bytes.
        dataset = dataset.map(_normalise, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        options = tf.data.Options()
        if workers is not None:
            options.threading.private_threadpool_size = workers
        return dataset.with_options(options)

    # Shuffled files change which images come first: not if that decides which are held out.
    train_images = read(train_split, not in_memory and not held_out, slice(held_out, None))
    test_images = read(test_split, shuffle_files=False)
    kept = [train_images, test_images]
    train = train_images.shuffle(min(images, memory_images), seed=seed)
    train = batches(train, drop_remainder=True)  # a smaller batch would compile again
    if augment:
        train = augmentation.augment(train, seed)
    validation_images = None
    if held_out:
        validation_images = read(train_split, shuffle_files=False, part=slice(held_out))
        kept.append(validation_images)
    train = finish(train)
    waiting = Waiting() if watch else None
    return Data(
        train=train if waiting is None else waiting.measure(train),
        validation=None if validation_images is None else finish(batches(validation_images)),
        test=finish(batches(test_images)),
        image_shape=image_shape,
        classes=features["label"].num_classes,
        steps_per_epoch=images // batch_size,
        caches=tuple(kept) if in_memory else (),
        waiting=waiting,
    )


def _builder(name: str, data_dir: Path | None) -> Any:
    if name.startswith(IMAGE_FOLDER):
        return _image_folder(name)
    known = set(tfds.list_builders(with_community_datasets=False))
    base = name.split("/")[0].split(":")[0]
    if base not in known:
        raise InputError(f"--dataset {name!r}: not a TFDS data set; {nearest(base, known)}")
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except Exception as error:  # a wrong configuration or version, a damaged folder
        raise InputError(f"--dataset {name!r}: {one_line(error)}") from error


def _image_folder(name: str) -> Any:
    folder = Path(name.removeprefix(IMAGE_FOLDER))
    if not folder.is_dir():
        raise InputError(f"--dataset {name!r}: no such folder")
    builder = tfds.ImageFolder(str(folder))
    splits = set(builder.info.splits)
    if "train" not in splits or not splits & {"test", *VALIDATION}:
        raise InputError(
            f"--dataset {name!r}: expected folders train and test (or val), "
            "with a folder of .jpg or .png images for each class in them"
        )
    return builder


def _splits(info: Any) -> tuple[str, str]:
    """Name the training split and the split that is reported."""
    if "test" in info.splits and info.name not in UNLABELLED_TEST:
        return "train", "test"
    for name in VALIDATION:
        if name in info.splits:
            return "train", name
    return "train[:80%]", "train[80%:]"


def _resize(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    resized = tf.image.resize(image, RESIZED)
    return tf.cast(tf.round(resized), image.dtype), label


def _normalise(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.image.convert_image_dtype(images, tf.float32), labels
