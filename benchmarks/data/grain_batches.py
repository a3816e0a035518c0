"""Batches of NumPy arrays, read by Grain's threads, without TensorFlow.

The order of the images in an epoch depends only on the seed and the number of the epoch. Each batch
is read by one thread. Several batches are read at once, before they are needed.
"""

import functools
import math
import sys
import time
from collections.abc import Callable, Generator, Iterator

import grain
import keras
import numpy as np

from benchmarks import machine
from benchmarks.data import augmentation
from benchmarks.data.image_reader import Batch, normalise
from benchmarks.data.plan import Data, Plan
from benchmarks.data.splits import Part

MOST_THREADS = 16
"""The largest number of threads by default, as in Grain; more would wait for Python's lock."""


class Batches(keras.utils.PyDataset):
    """The batches of a split; those after the last requested batch are read ahead."""

    def __init__(
        self, read: Callable[[int], Batch], steps: int, threads: int, end: int = sys.maxsize
    ) -> None:
        """Take a function that reads the batch of a number; the number counts over all epochs.

        The last batch has the number `end - 1`.
        """
        super().__init__()
        self.epoch = 0
        """The epoch whose batches are read, counted from 0."""
        self._read = read
        self._steps = steps
        self._threads = threads
        self._end = end
        self._ahead: Generator[Batch, None, None] | None = None
        self._next = 0
        self._waited = 0.0

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        """Return a batch of the epoch; batches that are asked for in order have been read ahead."""
        index = self.epoch * self._steps + step
        asked = time.perf_counter()
        if self._ahead is None or index != self._next:
            self.close()
            self._ahead = self._read_ahead(index)
        batch = next(self._ahead)
        self._next = index + 1
        self._waited += time.perf_counter() - asked
        return batch

    def __iter__(self) -> Iterator[Batch]:
        """Generate the batches of the epoch; then go to the next epoch."""
        for step in range(self._steps):
            yield self[step]
        self.epoch += 1

    def begin_epoch(self, epoch: int) -> None:
        """Go to an epoch. `fit` does not name the epoch, and begins to read the first one twice."""
        self.epoch = epoch

    def take(self, count: int) -> "Batches":
        """Return the first `count` batches."""
        steps = min(count, self._steps)
        return Batches(self._read, steps, self._threads, steps)

    def waited(self) -> float:
        """Return how many seconds the reader of the batches has waited for them."""
        return self._waited

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead is not None:
            self._ahead.close()

    def _read_ahead(self, first: int) -> Generator[Batch, None, None]:
        options = grain.ReadOptions(self._threads, prefetch_buffer_size=self._threads)
        batches = grain.MapDataset.range(first, self._end).map(self._read)
        iterator = iter(batches.to_iter_dataset(options))
        try:
            yield from iterator
        finally:
            iterator.close()


def read(plan: Plan) -> Data:
    """Return the images of `plan` as `Batches`.

    Raises:
        InputError: the images cannot be read in any order.
    """
    source, config = plan.source, plan.config
    threads = config.data_workers or min(machine.usable_cores(), MOST_THREADS)
    parts = plan.parts
    stored = {
        split: source.place.reader(split, plan.image_shape, threads) for split in parts.splits
    }
    train, trained_on = stored[parts.train.split], parts.train.each

    @functools.lru_cache(maxsize=2)  # the next epoch is read before this one ends
    def order(epoch: int) -> np.ndarray:
        return trained_on[_random(config.seed, 0, epoch).permutation(plan.images)]

    def read_train(index: int) -> Batch:
        epoch, step = divmod(index, plan.steps)
        processes, process = plan.share
        numbers = order(epoch)[step * config.batch_size :][: config.batch_size]
        found, labels = train[numbers[process::processes]]
        if config.augment:
            moves = augmentation.draw(_random(config.seed, 1, index), config.batch_size, plan.size)
            found = augmentation.move(found, moves[process::processes])
        return normalise(found), labels

    def in_order(part: Part) -> Batches:
        numbers = part.each

        def read_next(index: int) -> Batch:
            wanted = numbers[index * config.batch_size :][: config.batch_size]
            found, labels = stored[part.split][wanted]
            return normalise(found), labels

        steps = math.ceil(part.count / config.batch_size)
        return Batches(read_next, steps, threads, steps)

    batches = Batches(read_train, plan.steps, threads)
    return Data(
        plan=plan,
        train=batches,
        validation=None if parts.validation is None else in_order(parts.validation),
        test=in_order(parts.test),
        caches=tuple(one.keep for one in stored.values()) if plan.in_memory else (),
        begin_epoch=batches.begin_epoch,
        waited=batches.waited if config.data_wait else None,
    )


def _random(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
