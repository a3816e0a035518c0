"""What limits every update: the memory bandwidth."""

import concurrent.futures
import os
from typing import Any

from benchmarks.updates.peers import Update

ARRAY_VALUES = 2**26
"""In each of the two float32 arrays, 256 MiB: they find no place in a cache."""

MOVED_BYTES = 3 * 4 * ARRAY_VALUES
"""Moved by one addition: two arrays are read, one is written."""


def build(device: str) -> Update:
    """Add an array to another, in place and on all cores.

    In place, because an update is: a cache line that is written was read
    before. To a third array, the processor would read its old lines, too, and a
    count of the bytes that the program asks for would be too low. On a CPU with
    NumPy, which moves a fifth more than TensorFlow's own addition.
    """
    import numpy as np

    if device == "gpu":
        return _build_on_gpu()
    total, addend = (np.full(ARRAY_VALUES, value, np.float32) for value in (0, 1))
    cores = os.cpu_count() or 1
    parts = [np.array_split(array, cores) for array in (total, addend)]
    threads = concurrent.futures.ThreadPoolExecutor(cores)

    def add(total: Any, addend: Any) -> None:
        np.add(total, addend, out=total)

    return Update(
        start=lambda: list(threads.map(add, *parts)),
        wait=lambda: None,
        weights=lambda: [total],
        state=list,
    )


def _build_on_gpu() -> Update:
    import tensorflow as tf

    from benchmarks.device import synchronize

    total, addend = tf.Variable(tf.zeros(ARRAY_VALUES)), tf.ones(ARRAY_VALUES)
    return Update(
        start=lambda: total.assign_add(addend, read_value=False),
        wait=lambda: synchronize(()),
        weights=lambda: [total.numpy()],
        state=list,
    )
