"""The bandwidth of the memory, which limits every update.

No single program reaches the limit exactly. So several kernels are timed on all cores, and the best
rate counts. A kernel does almost nothing but move memory. It works in place, as an update does. If
a kernel wrote to another array, the processor would read the old lines of that array too, and the
counted bytes would be too few.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import machine
from benchmarks.updates.peers import Update
from benchmarks.updates.shapes import Shapes

WORKING_SET_BYTES = 2**29
"""The bytes of all arrays of a kernel together, too many for a cache."""

CHUNK_VALUES = 2**15
"""The numbers in a piece of the kernel `adam`; the gradient of a piece stays in the cache."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A loop over arrays of equal length."""

    arrays: int
    moves: int
    """The reads and writes of all arrays, counted in arrays."""
    run: Callable[..., object]
    """The function for a part of the arrays on a CPU; it writes to the first array."""

    @property
    def values(self) -> int:
        """The number of float32 numbers in each array."""
        return WORKING_SET_BYTES // 4 // self.arrays

    @property
    def shapes(self) -> Shapes:
        """The shapes of its arrays."""
        return [(self.values,)] * self.arrays

    @property
    def moved_bytes(self) -> int:
        """The bytes that one run moves."""
        return 4 * self.moves * self.values


def _add(total: Any, addend: Any) -> None:
    import numpy as np

    np.add(total, addend, out=total)


def _copy(target: Any, source: Any) -> None:
    import numpy as np

    np.copyto(target, source)


def _adam(weight: Any, momentum: Any, velocity: Any, gradient: Any) -> None:
    """Move the same memory as Adam: read four arrays and write three, each once."""
    import numpy as np

    for begin in range(0, len(gradient), CHUNK_VALUES):
        part = slice(begin, begin + CHUNK_VALUES)
        for array in (momentum, velocity, weight):
            np.add(array[part], gradient[part], out=array[part])


KERNELS: Mapping[str, Kernel] = {
    "add": Kernel(2, 3, _add),
    "copy": Kernel(2, 2, _copy),
    "adam": Kernel(4, 7, _adam),
}
"""The kernels by name; the name is the mode in updates_raw.csv."""


def build(name: str, its_shapes: Shapes, device: str) -> Update:
    """Make the arrays of a kernel, with `Kernel.shapes`; the last has ones, the others zeros."""
    import numpy as np

    kernel = KERNELS[name]
    if device == "gpu":
        return _build_on_gpu(name, its_shapes)
    arrays = [np.zeros(shape, np.float32) for shape in its_shapes[:-1]]
    arrays.append(np.ones(its_shapes[-1], np.float32))
    for array in arrays[:-1]:
        array.fill(0)  # np.zeros allocates memory only when it is written
    cores = machine.usable_cores()
    parts = [np.array_split(array, cores) for array in arrays]
    threads = concurrent.futures.ThreadPoolExecutor(cores)
    return Update(
        start=lambda: list(threads.map(kernel.run, *parts)),
        wait=lambda: None,
        weights=lambda: arrays[:-1],
        state=list,
    )


def _build_on_gpu(name: str, its_shapes: Shapes) -> Update:
    """Do the same with the kernels of a library, whose Adam reads four arrays and writes three."""
    if os.environ.get("KERAS_BACKEND") == "torch":
        return _build_on_gpu_with_torch(name, its_shapes)
    import tensorflow as tf

    from benchmarks.device import synchronize

    variables = [tf.Variable(tf.zeros(shape)) for shape in its_shapes[:-1]]
    last = tf.ones(its_shapes[-1])

    def start() -> object:
        first = variables[0]
        if name == "add":
            return first.assign_add(last, read_value=False)
        if name == "copy":
            return first.assign(last, read_value=False)
        scalars = {key: tf.constant(0.5) for key in ("beta1_power", "beta2_power", "lr", "beta1")}
        return tf.raw_ops.ResourceApplyAdam(
            **dict(zip(("var", "m", "v"), (v.handle for v in variables), strict=True)),
            **scalars,
            beta2=tf.constant(0.5),
            epsilon=tf.constant(1e-7),
            grad=last,
        )

    return Update(
        start=start,
        wait=lambda: synchronize(()),
        weights=lambda: [variable.numpy() for variable in variables],
        state=list,
    )


def _build_on_gpu_with_torch(name: str, its_shapes: Shapes) -> Update:
    import torch

    arrays = [torch.zeros(shape, device="cuda") for shape in its_shapes[:-1]]
    last = torch.ones(its_shapes[-1], device="cuda")

    def start() -> object:
        if name == "add":
            return arrays[0].add_(last)
        if name == "copy":
            return arrays[0].copy_(last)
        return torch.optim.adam.adam(
            [arrays[0]],
            [last],
            [arrays[1]],
            [arrays[2]],
            [],
            [torch.zeros((), device="cuda")],
            fused=True,
            amsgrad=False,
            beta1=0.5,
            beta2=0.5,
            lr=0.5,
            weight_decay=0.0,
            eps=1e-7,
            maximize=False,
        )

    return Update(
        start=start,
        wait=torch.cuda.synchronize,
        weights=lambda: [array.cpu().numpy() for array in arrays],
        state=list,
    )
