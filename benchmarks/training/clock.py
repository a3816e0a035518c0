"""All timings: when the clock is read, what counts as warm-up, and what is computed."""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def median_ms(function: Callable[[], Any], repetitions: int, seconds: float) -> float:
    """Return the median time of a call that waits for its result, in milliseconds.

    The function is called `repetitions` times, or fewer if this takes longer than `seconds`. The
    first tenth of the calls, and at least one, are warm-up.
    """
    for _ in range(max(repetitions // 10, 1)):
        function()
    durations: list[float] = []
    while len(durations) < repetitions and sum(durations) < seconds:
        begin = time.perf_counter()
        function()
        durations.append(time.perf_counter() - begin)
    return float(np.median(durations)) * 1e3


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return the 50th, 90th and 99th percentile of `seconds`, in milliseconds."""
    p50, p90, p99 = np.percentile(seconds, [50, 90, 99]) * 1e3
    return {"step_ms_p50": float(p50), "step_ms_p90": float(p90), "step_ms_p99": float(p99)}


class TrainingClock:
    """Times the steps and epochs of one `fit`.

    A step lasts from the end of the step before to its own end, so that waiting for data counts. It
    has ended when its results are ready, not when it was given to the device. On JAX and on GPUs
    the program runs many steps ahead, so the clock at the beginning of a step measures nothing.
    Warm-up is the first epoch or, if there is only one epoch, the first step.
    """

    def __init__(
        self, synchronize: Callable[[], None], waited: Callable[[], float] | None = None
    ) -> None:
        """Take a function that waits for the device, and one that returns the seconds of waiting.

        Without the second function, the waiting for data is not measured.
        """
        self._synchronize = synchronize
        self._measures_waiting = waited is not None
        self._waited = waited or (lambda: 0.0)
        self._epochs: list[_Epoch] = []

    def begin_epoch(self) -> None:
        """Read the clock at the beginning of an epoch."""
        self._epochs.append(_Epoch(time.perf_counter(), self._waited()))

    def end_step(self, step: int | None = None) -> None:
        """Read the clock when the results of a step are ready. Any thread may call this.

        Args:
            step: number of the step in the epoch, counted from 1; None is the next one. If steps
            were left out, all steps since the last call count as equally long.
        """
        ends = self._epochs[-1].step_ends
        ends.append((time.perf_counter(), len(ends) + 1 if step is None else step))

    def end_epoch(self) -> tuple[int, float]:
        """Wait for the device, read the clock, return the steps and seconds of the epoch."""
        self._synchronize()
        epoch = self._epochs[-1]
        epoch.end = time.perf_counter()
        epoch.waited = self._waited() - epoch.waited
        # Threads may have called `end_step` out of order.
        ends = sorted(end for end, _ in epoch.step_ends)
        epoch.step_ends = list(zip(ends, sorted(n for _, n in epoch.step_ends), strict=True))
        return epoch.steps, epoch.end - epoch.begin

    def measurements(self, batch_size: int) -> dict[str, float]:
        """Return the timing columns of `runs.csv` for which there were enough steps."""
        first, *others = self._epochs
        measured = {"train_seconds": sum(epoch.end - epoch.begin for epoch in self._epochs)}
        if others:
            steps = sum(epoch.steps for epoch in others)
            seconds = sum(epoch.end - epoch.begin for epoch in others)
            step_seconds = [s for epoch in others for s in epoch.step_seconds()]
            if self._measures_waiting:
                measured["data_wait_fraction"] = sum(epoch.waited for epoch in others) / seconds
        else:
            warm_up_end, warm_up_steps = first.step_ends[0]
            steps = first.steps - warm_up_steps
            seconds = first.end - warm_up_end
            step_seconds = first.step_seconds()[1:]
        if steps:
            measured["images_per_second"] = steps * batch_size / seconds
        if step_seconds:
            measured |= percentiles_ms(step_seconds)
            end, count = first.step_ends[0]
            measured["compile_seconds"] = end - first.begin - count * float(np.median(step_seconds))
        return measured


class _Epoch:
    def __init__(self, begin: float, waited: float) -> None:
        self.begin = begin
        self.waited = waited
        self.step_ends: list[tuple[float, int]] = []
        """The end time of each step, and its number in the epoch."""
        self.end = float("nan")

    @property
    def steps(self) -> int:
        return self.step_ends[-1][1] if self.step_ends else 0

    def step_seconds(self) -> list[float]:
        ends = [(self.begin, 0), *self.step_ends]
        return [(b - a) / (n - m) for (a, m), (b, n) in itertools.pairwise(ends)]
