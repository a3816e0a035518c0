"""Batches of NumPy arrays, read by Grain's threads, without TensorFlow.

Which image is the n-th of an epoch follows from the seed and the number of the epoch alone. Each
batch is read by one thread; several batches are read at once, ahead of who takes them.
"""

import concurrent.futures
import functools
import math
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import grain
import keras
import numpy as np

from benchmarks import machine
from benchmarks.data import augmentation, images, random_access
from benchmarks.data.batches import Data, Plan
from benchmarks.data.sources import Source, Tfds
from benchmarks.errors import InputError, one_line

Batch = tuple[np.ndarray, np.ndarray]
"""Images and labels."""

MOST_THREADS = 16
"""If nobody asks for more: Grain's own number. Beyond it they wait for each other in Python."""

KEPT_AT_ONCE = 256
"""So many images a thread decodes before it takes others, when all are brought into memory."""


class Images:
    """Images of a split by their numbers, as uint8, and their labels."""

    def __init__(
        self,
        records: Sequence[tuple[Any, int]],
        channels: int,
        size: tuple[int, int],
        threads: int,
    ) -> None:
        """Take encoded images (a path, or the bytes of the file) and labels."""
        self._records = records
        self._shape = (*size, channels)
        self._threads = threads
        self._kept: Batch | None = None

    def __getitem__(self, numbers: np.ndarray) -> Batch:
        """Return images of shape (len(numbers), height, width, channels), and their labels."""
        if self._kept is not None:
            return self._kept[0][numbers], self._kept[1][numbers]
        found, labels = self._empty(len(numbers))
        for place, number in enumerate(numbers):
            file, labels[place] = self._records[number]
            found[place] = images.decode(file, self._shape[2], self._shape[:2])
        return found, labels

    def keep(self) -> None:
        """Decode all of them into memory."""
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


class Batches(keras.utils.PyDataset):
    """The batches of a split, which are read ahead from the one on that was last asked for."""

    def __init__(
        self, read: Callable[[int], Batch], steps: int, threads: int, end: int = sys.maxsize
    ) -> None:
        """Take what reads a batch, by its number counted on over all epochs.

        There is none with the number `end`.
        """
        super().__init__()
        self.epoch = 0
        """Whose batches are read; counted from 0."""
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
        """Return a batch of the epoch. The one after it is ready soonest."""
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
        """Generate the epoch; at its end, begin the next one."""
        for step in range(self._steps):
            yield self[step]
        self.epoch += 1

    def begin_epoch(self, epoch: int) -> None:
        """Go to an epoch. `fit` does not say which it reads, and begins the first one twice."""
        self.epoch = epoch

    def take(self, count: int) -> "Batches":
        """Return the first of them."""
        steps = min(count, self._steps)
        return Batches(self._read, steps, self._threads, steps)

    def waited(self) -> float:
        """Return for how many seconds whoever read the batches has waited for them."""
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
    """Return what `plan` says as `Batches`.

    Raises:
        InputError: the images have more than 8 bits a colour, or cannot be read in any order.
    """
    source = plan.source
    channels = source.image_shape[2]
    if source.dtype != np.uint8 or channels not in images.MODES:
        raise InputError(
            f"{source.name} has images of {channels} channels in {source.dtype}; read are those "
            f"of {', '.join(map(str, images.MODES))} channels in uint8",
            backend="jax",
        )
    threads = plan.workers or min(machine.usable_cores(), MOST_THREADS)
    train, test = (
        Images(_records(source, split), channels, plan.size, threads) for split in ("train", "test")
    )

    @functools.lru_cache(maxsize=2)  # batches of the next epoch are read before this one ends
    def order(epoch: int) -> np.ndarray:
        return plan.held_out + _random(plan.seed, 0, epoch).permutation(plan.images)

    def read_train(index: int) -> Batch:
        epoch, step = divmod(index, plan.steps)
        processes, process = plan.share
        numbers = order(epoch)[step * plan.batch_size :][: plan.batch_size]
        found, labels = train[numbers[process::processes]]
        if plan.augment:
            moves = augmentation.draw(_random(plan.seed, 1, index), plan.batch_size, plan.size)
            found = augmentation.move(found, moves[process::processes])
        return _normalise(found), labels

    def in_order(split: Images, count: int) -> Batches:
        def read_next(index: int) -> Batch:
            found, labels = split[np.arange(count)[index * plan.batch_size :][: plan.batch_size]]
            return _normalise(found), labels

        steps = math.ceil(count / plan.batch_size)
        return Batches(read_next, steps, threads, steps)

    batches = Batches(read_train, plan.steps, threads)
    return Data(
        plan=plan,
        train=batches,
        validation=in_order(train, plan.held_out) if plan.held_out else None,
        test=in_order(test, source.test_images),
        caches=(train.keep, test.keep) if plan.in_memory else (),
        begin_epoch=batches.begin_epoch,
        waited=batches.waited if plan.watch else None,
    )


class _Files(Sequence[tuple[Any, int]]):
    """The records of a split of TFDS: the bytes of an image's file, and its label."""

    def __init__(self, name: str, records: Any) -> None:
        self._name = name
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: Any) -> Any:
        try:
            record = self._records[number]
            return record["image"], record["label"]
        except Exception as error:  # of the file format, or of TFDS, which got nothing from it
            raise InputError(
                f"record {number} cannot be read ({one_line(error)}); `python -m benchmarks data "
                "verify` names the damaged file",
                dataset=self._name,
            ) from error


def _records(source: Source, split: str) -> Sequence[tuple[Any, int]]:
    place = source.place
    if not isinstance(place, Tfds):
        files = getattr(place, split)
        return list(zip(files, place.labels(files), strict=True))
    if not random_access.has(place.builder):
        raise InputError(
            "prepared without the files that the jax backend reads; `python -m benchmarks data "
            "prepare --backend jax` adds them",
            dataset=source.name,
        )
    return _Files(source.name, random_access.records(place.builder, getattr(place, split)))


def _random(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _normalise(batch: np.ndarray) -> np.ndarray:
    return np.multiply(batch, np.float32(1 / 255), dtype=np.float32)
