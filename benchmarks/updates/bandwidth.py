"""What limits every update: how fast the memory can be read and written.

No program is the limit itself. So several kernels are timed that do next to
nothing but move memory, on all cores, and the best rate that any of them
reaches counts. Each works in place, as an update does: where a third array is
written, the processor reads its old lines too, and a count of the bytes that
the program asks for would be too low.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import machine
from benchmarks.updates.peers import Update

WORKING_SET_BYTES = 2**29
"""Of all arrays of a kernel together: they find no place in a cache."""

CHUNK_VALUES = 2**15
"""Of the kernel `adam`: a piece of the gradient stays in the cache while three arrays pass by."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A loop over arrays that are equally long."""

    arrays: int
    moves: int
    """Reads and writes of each array, counted together."""
    run: Callable[..., object]
    """On a CPU, for a part of the arrays; the first is written."""

    @property
    def values(self) -> int:
        """Float32 numbers in each array."""
        return WORKING_SET_BYTES // 4 // self.arrays

    @property
    def moved_bytes(self) -> int:
        """In one run."""
        return 4 * self.moves * self.values


def _add(total: Any, addend: Any) -> None:
    import numpy as np

    np.add(total, addend, out=total)


def _copy(target: Any, source: Any) -> None:
    import numpy as np

    np.copyto(target, source)


def _adam(weight: Any, momentum: Any, velocity: Any, gradient: Any) -> None:
    """Move what Adam moves: four arrays are read and three written, each once."""
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
"""Name to kernel; a name stands for the mode in updates_raw.csv."""


def build(name: str, device: str) -> Update:
    """Make the arrays of a kernel, for this process; all are 0 but the last, which is 1."""
    import numpy as np

    kernel = KERNELS[name]
    if device == "gpu":
        return _build_on_gpu(name, kernel)
    arrays = [np.zeros(kernel.values, np.float32) for _ in range(kernel.arrays - 1)]
    arrays.append(np.ones(kernel.values, np.float32))
    for array in arrays[:-1]:
        array.fill(0)  # np.zeros takes its memory only when it is written
    cores = machine.usable_cores()
    parts = [np.array_split(array, cores) for array in arrays]
    threads = concurrent.futures.ThreadPoolExecutor(cores)
    return Update(
        start=lambda: list(threads.map(kernel.run, *parts)),
        wait=lambda: None,
        weights=lambda: arrays[:-1],
        state=list,
    )


def _build_on_gpu(name: str, kernel: Kernel) -> Update:
    """Do the same with a library's kernels: its Adam is one that reads four and writes three."""
    if os.environ.get("KERAS_BACKEND") == "torch":
        return _build_on_gpu_with_torch(name, kernel)
    import tensorflow as tf

    from benchmarks.device import synchronize

    variables = [tf.Variable(tf.zeros(kernel.values)) for _ in range(kernel.arrays - 1)]
    last = tf.ones(kernel.values)

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


def _build_on_gpu_with_torch(name: str, kernel: Kernel) -> Update:
    import torch

    arrays = [torch.zeros(kernel.values, device="cuda") for _ in range(kernel.arrays - 1)]
    last = torch.ones(kernel.values, device="cuda")

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
