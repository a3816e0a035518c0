"""Batches of TensorFlow's tensors, read by tf.data."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks import machine
from benchmarks.data import augmentation
from benchmarks.data.plan import Data, Plan
from benchmarks.data.splits import Part
from benchmarks.data.tfds_set import Tfds
from benchmarks.data.waiting import Waiting
from benchmarks.errors import InputError

SHUFFLED_BYTES = 2**29
"""The bytes of decoded images from which the next image is drawn at random. A small set fits into
this window, a large one does not. The window is the same on every machine, so that the order is the
same."""


# AutoGraph takes a tenth of a second to rewrite our functions, which need no rewriting. A builder
# of the user's own may need it.
as_written = tf.autograph.experimental.do_not_convert


def read(plan: Plan) -> Data:
    """Return the images of `plan` as `tf.data.Dataset`s."""
    config = plan.config
    place = plan.source.place
    splits = _tfds(plan, place) if isinstance(place, Tfds) else _by_number(plan)

    def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
        # Images are normalised after batching, so that a batch takes one operation, and after the
        # cache, so that the cache holds bytes.
        dataset = dataset.map(as_written(_normalise), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        options = tf.data.Options()
        if config.data_workers is not None:
            options.threading.private_threadpool_size = config.data_workers
        return dataset.with_options(options)

    train = augmentation.augment(splits.train, config.seed) if config.augment else splits.train
    train = finish(train)
    waiting = Waiting() if config.data_wait else None
    return Data(
        plan=plan,
        train=train if waiting is None else waiting.measure(train),
        validation=None if splits.validation is None else finish(splits.validation),
        test=finish(splits.test),
        caches=splits.caches if plan.in_memory else (),
        waited=waiting.seconds if waiting else None,
        failure=splits.failure,
    )


@dataclasses.dataclass(frozen=True)
class _Splits:
    """Batches of images as stored."""

    train: tf.data.Dataset
    validation: tf.data.Dataset | None
    test: tf.data.Dataset
    caches: tuple[Callable[[], object], ...]
    failure: Callable[[], InputError | None]


def _by_number(plan: Plan) -> _Splits:
    """Let Python's threads read data sets that are not of TFDS, by number."""
    config, place, parts = plan.config, plan.source.place, plan.parts
    threads = config.data_workers or machine.usable_cores()
    readers = {split: place.reader(split, plan.image_shape, threads) for split in parts.splits}

    def batches(part: Part, shuffle: bool = False) -> tf.data.Dataset:
        reader = readers[part.split]

        def read(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            images, labels = tf.numpy_function(
                reader.__getitem__, [numbers], (plan.source.dtype, tf.int64), stateful=False
            )
            images.set_shape([numbers.shape[0], *plan.image_shape])
            labels.set_shape([numbers.shape[0]])
            return images, labels

        numbers = tf.data.Dataset.from_tensor_slices(part.each)
        if shuffle:
            numbers = numbers.shuffle(part.count, seed=config.seed)
        # A smaller last batch would make the training step compile again.
        numbers = numbers.batch(config.batch_size, drop_remainder=shuffle)
        return numbers.map(as_written(read), tf.data.AUTOTUNE)

    def failure() -> InputError | None:
        return next((reader.failure for reader in readers.values() if reader.failure), None)

    return _Splits(
        train=batches(parts.train, shuffle=True),
        validation=None if parts.validation is None else batches(parts.validation),
        test=batches(parts.test),
        caches=tuple(reader.keep for reader in readers.values()),
        failure=failure,
    )


def _tfds(plan: Plan, place: Tfds) -> _Splits:
    # If the images differ in size, the shape of the source has None, and every image is resized.
    resize = plan.size != plan.source.image_shape[:2]
    seed, batch_size = plan.config.seed, plan.config.batch_size
    kept: list[tf.data.Dataset] = []
    failures: list[InputError] = []

    def images(part: Part) -> tf.data.Dataset:
        records = _records(place, part)

        def refuse(label: np.int64) -> None:
            failures.append(place.wrong_label(part.split, int(label)))
            raise failures[-1]

        def check(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            label = tf.cond(
                (label >= 0) & (label < place.classes),
                lambda: label,
                lambda: tf.numpy_function(refuse, [label], tf.int64),
            )
            return image, tf.ensure_shape(label, [])

        records = records.map(as_written(check), tf.data.AUTOTUNE)
        if resize:
            resize_to = as_written(functools.partial(_resize, size=plan.size))
            records = records.map(resize_to, tf.data.AUTOTUNE)
        kept.append(records.cache() if plan.in_memory else records)
        return kept[-1]

    parts = plan.parts
    # The memory of the machine decides what is kept, but not the order of the images. The shuffling
    # depends only on the seed and the number of elements.
    buffer = min(plan.images, max(SHUFFLED_BYTES // plan.image_bytes, 1))
    train = images(parts.train).shuffle(buffer, seed=seed)
    test = images(parts.test).batch(batch_size)
    validation = None
    if parts.validation is not None:
        validation = images(parts.validation).batch(batch_size)
    return _Splits(
        # A smaller last batch would make the training step compile again.
        train=train.batch(batch_size, drop_remainder=True),
        validation=validation,
        test=test,
        caches=tuple(functools.partial(_fill, cache) for cache in kept),
        failure=lambda: next(iter(failures), None),
    )


def _records(place: Tfds, part: Part) -> tf.data.Dataset:
    """Return images and labels of a TFDS split, always in the same order."""
    if part.numbers is None:
        # The order of the files is not shuffled. TFDS shuffled the records when it prepared the
        # set, and images that are kept in memory would repeat the order of the first epoch.
        return place.builder.as_dataset(
            split=part.split,
            as_supervised=True,
            read_config=tfds.ReadConfig(try_autocache=False),
        )
    wanted = np.zeros(place.builder.info.splits[part.split].num_examples, bool)
    wanted[part.numbers] = True
    feature = place.builder.info.features["image"]

    def decode(number: tf.Tensor, record: Any) -> tuple[tf.Tensor, tf.Tensor]:
        image = feature.decode_example(record["image"])
        image.set_shape(feature.shape)
        return image, record["label"]

    # Images of the other parts are not decoded.
    records = place.numbered(part.split).filter(lambda number, _: tf.constant(wanted)[number])
    # `filter` loses the number of records, from which `fit` knows where an epoch ends.
    records = records.apply(tf.data.experimental.assert_cardinality(part.count))
    return records.map(decode, tf.data.AUTOTUNE)


def _fill(cache: tf.data.Dataset) -> Any:
    return cache.reduce(np.int64(0), as_written(lambda count, *_: count + 1))


def _resize(
    image: tf.Tensor, label: tf.Tensor, size: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    resized = tf.image.resize(image, size)
    return tf.cast(tf.round(resized), image.dtype), label


def _normalise(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.image.convert_image_dtype(images, tf.float32), labels
