"""Lets competitors update the same variables in turn."""

import contextlib
import dataclasses
import datetime
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks import printing, worker
from benchmarks.environment import Checked, version
from benchmarks.errors import InputError
from benchmarks.printing import say
from benchmarks.store import csv_file, schema
from benchmarks.store.csv_file import Row
from benchmarks.updates import bandwidth, peers, training_step
from benchmarks.updates.competitors import Competitor, FailedError, Process, limits
from benchmarks.updates.shapes import Shapes, parameters

LEAST_BYTES = 28
"""The least bytes for a parameter: three arrays are read and written, the gradient is read."""

PAUSE_SECONDS = 0.05
"""The seconds between turns. After a computation, the threads of a library spin for some
milliseconds before they sleep (PyTorch's for about ten). They would take the cores from the next
competitor."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The settings of the races, the same for the shapes of every model."""

    competitors: Sequence[Competitor]
    rounds: int
    repetitions: int
    """The number of updates of each competitor in each round."""
    device: str
    backend: str = "tensorflow"
    """The backend that measures the memory of a GPU."""


def check_race(
    optimizers: Sequence[str], names: Sequence[str], backend: str, device: str | None
) -> tuple[Checked, dict[str, Shapes]]:
    """Find in seconds errors that would come later; also return the shapes of each name.

    Raises:
        InputError: something would fail.
    """
    messages = list(
        worker.run(
            "benchmarks.updates.one_update:check_updates",
            *(optimizers, names, backend, device),
            backend=backend,
            device=device,
        )
    )
    if isinstance(messages[-1], worker.Failure):
        raise messages[-1].as_input_error()
    checked, *shapes = messages
    return checked, dict(zip(names, shapes, strict=True))


class Race:
    """Competitors that update variables of one set of shapes in turn, and their times."""

    def __init__(self, name: str, shapes: Shapes, plan: Plan, console: Console) -> None:
        self.seconds: dict[Competitor, list[list[float]]] = {}
        """The seconds of the measured updates, in a list for each round."""
        self.raw: list[Row] = []
        """The rows of `updates_raw.csv`."""
        self._name = name
        self._shapes = shapes
        self._plan = plan
        self._console = console
        self._processes: dict[Competitor, Process] = {}

    def run(self) -> None:
        """Start all competitors, then let one work at a time; leave out one that fails.

        Raises:
            InputError: the bandwidth could not be measured.
        """
        plan = self._plan
        try:
            for competitor in [*limits(plan.backend), *plan.competitors]:
                self._print(f"starting {competitor}")
                with self._reported(competitor):
                    its_shapes = self._shapes
                    if competitor.is_limit:
                        its_shapes = bandwidth.KERNELS[competitor.mode].shapes
                    process = Process(competitor, self._name, its_shapes, plan.device)
                    self._processes[competitor] = process
                    self._record(competitor, "first_call", [process.ready.first_call_seconds])
            self._round(None)
            for number in track(
                range(1, plan.rounds + 1),
                self._name,
                console=self._console,
                disable=not self._console.is_terminal,
                transient=True,
            ):
                self._round(number)
        finally:
            for process in self._processes.values():
                process.close()
        if not any(competitor.is_limit for competitor in self._processes):
            raise InputError("the bandwidth could not be measured", shapes=self._name)

    def _round(self, number: int | None) -> None:
        """Give every competitor its turn; without a number, to warm up."""
        # The order is reversed each round, so that a drift of the machine favours no competitor.
        for competitor in list(self._processes)[:: -1 if (number or 0) % 2 else 1]:
            time.sleep(PAUSE_SECONDS)
            with self._reported(competitor):
                turn = self._processes[competitor].update(1 + self._plan.repetitions)
                # At the first update of a turn the caches still have the data of other competitors.
                warm_ups = 1 if number else len(turn.seconds)
                measured = turn.seconds[warm_ups:]
                self._record(competitor, "warm_up", turn.seconds[:warm_ups], number, turn.memory_mb)
                self._record(competitor, "measured", measured, number, turn.memory_mb)
                if number:
                    self.seconds.setdefault(competitor, []).append(measured)

    def rows(self) -> list[Row]:
        """Make a row of `updates.csv` for each competitor that has not failed."""
        bytes_per_second = self._bandwidth()
        params = parameters(self._shapes)
        rows = []
        for competitor, process in self._processes.items():
            if competitor.is_limit:
                continue
            seconds = list(itertools.chain(*self.seconds[competitor]))
            p50, p90 = (float(q) for q in np.percentile(seconds, [50, 90]))
            rows.append(
                {
                    "shapes": self._name,
                    **dataclasses.asdict(competitor),
                    "device": self._plan.device,
                    "variables": len(self._shapes),
                    "params": params,
                    "update_ms_p50": p50 * 1e3,
                    "update_ms_min": min(seconds) * 1e3,
                    "update_ms_p90": p90 * 1e3,
                    "first_call_seconds": process.ready.first_call_seconds,
                    "bytes_per_parameter": p50 * bytes_per_second / params,
                    "gb_per_second": LEAST_BYTES * params / p50 / 1e9,
                    "bandwidth_limit_ms": LEAST_BYTES * params / bytes_per_second * 1e3,
                    "state_bytes": process.ready.state_bytes,
                    "repetitions": len(seconds),
                    "backend_version": _library_version(competitor),
                }
            )
        return rows

    def _bandwidth(self) -> float:
        """Return the best rate that any kernel reached in any run, in bytes a second."""
        return max(
            bandwidth.KERNELS[limit.mode].moved_bytes / min(itertools.chain(*self.seconds[limit]))
            for limit in limits(self._plan.backend)
            if limit in self._processes
        )

    def print_summary(self) -> None:
        """Print a line for each competitor: its times, and their ratio to the baseline's.

        The baseline is keras_adam in the same mode if it takes part, else the first optimizer.
        """
        names = [competitor.optimizer for competitor in self._plan.competitors]
        baseline = "keras_adam" if "keras_adam" in names else names[0]
        header = ("optimizer", "mode", "ms", "least", "/limit", "ratio", "quartiles", "least")
        cells = []
        rows = self.rows()
        for row in rows:
            competitor = Competitor(row["optimizer"], row["mode"], row["backend"])
            ms, least, limit = (
                row[name] for name in ("update_ms_p50", "update_ms_min", "bandwidth_limit_ms")
            )
            times = (f"{ms:.2f}", f"{least:.2f}", f"{ms / limit:.2f}")
            ratios = self._ratios(competitor, baseline)
            cells.append((competitor.optimizer, competitor.mode, *times, *ratios))
        at_limit = f", at the bandwidth {rows[0]['bandwidth_limit_ms']:.2f} ms" if rows else ""
        self._print(
            f"{len(self._shapes)} variables, {parameters(self._shapes):,} parameters{at_limit}"
        )
        say(
            self._console,
            f"ratio to {baseline}, its quartiles over the rounds, ratio of the least times",
        )
        printing.table(self._console, header, cells, names=2)

    def _ratios(self, competitor: Competitor, baseline: str) -> Iterator[str]:
        others = [
            c for c in self._processes if (c.optimizer, c.mode) == (baseline, competitor.mode)
        ]
        if not others:
            return
        own, other = self.seconds[competitor], self.seconds[others[0]]
        by_round = [
            statistics.median(a) / statistics.median(b) for a, b in zip(own, other, strict=True)
        ]
        low, high = np.percentile(by_round, [25, 75])
        yield f"{_median(own) / _median(other):.2f}"
        yield f"{low:.3g}-{high:.3g}"
        yield f"{min(map(min, own)) / min(map(min, other)):.2f}"

    @contextlib.contextmanager
    def _reported(self, competitor: Competitor) -> Iterator[None]:
        try:
            yield
        except FailedError as error:
            self._processes.pop(competitor, None)
            self._print(f"{competitor}: {error}")

    def _record(
        self,
        competitor: Competitor,
        phase: str,
        seconds: list[float],
        number: int | None = None,
        memory_mb: float | None = None,
    ) -> None:
        turn = {
            "shapes": self._name,
            "optimizer": competitor.optimizer,
            "mode": competitor.mode,
            "phase": phase,
            "round": number,
            "memory_mb": memory_mb,
        }
        self.raw.extend({**turn, "seconds": s} for s in seconds)

    def _print(self, text: str) -> None:
        say(self._console, f"{self._name}: {text}")


def _step(row: Row) -> Row:
    """Turn a row of `updates.csv` into a row of `steps.csv`, because a training step was timed."""
    times = {column.replace("update", "step"): row[column] for column in row}
    its = {"model": row["shapes"], "batch_size": training_step.BATCH_SIZE}
    return {column: {**times, **its}.get(column) for column in schema.STEPS}


def _library_version(competitor: Competitor) -> str:
    """Return the version of the backend, and that of the optimizer's package if it is another."""
    peer = peers.PEERS.get(competitor.optimizer)
    beside = [] if peer is None or peer.package == competitor.backend else [peer.package]
    versions = [str(version(competitor.backend)), *(f"{name} {version(name)}" for name in beside)]
    return ", ".join(versions)


def _median(rounds: list[list[float]]) -> float:
    return statistics.median(itertools.chain(*rounds))


def hold_races(
    shapes: dict[str, Shapes], plan: Plan, folder: Path, environment: Row, console: Console
) -> bool:
    """Hold a race for each set of shapes; write the reports, print the tables.

    Returns:
        Whether no competitor has failed.
    """
    complete = True
    for name, its_shapes in shapes.items():
        started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        race = Race(name, its_shapes, plan, console)
        race.run()
        rows = [{**environment, **row, "started_at": started_at} for row in race.rows()]
        csv_file.append(folder / "updates_raw.csv", schema.UPDATES_RAW, race.raw)
        updates = [row for row in rows if row["mode"] not in training_step.MODES]
        steps = [_step(row) for row in rows if row["mode"] in training_step.MODES]
        for file_name, columns, its_rows in (
            ("updates.csv", schema.UPDATES, updates),
            ("steps.csv", schema.STEPS, steps),
        ):
            if its_rows:
                csv_file.append(folder / file_name, columns, its_rows)
        race.print_summary()
        complete = complete and len(rows) == len(plan.competitors)
    return complete
