"""Measures updates of equal variables, over their count and size, against Keras's optimizers.

`python -m benchmarks.updates.grid FOLDER` writes FOLDER/grid.csv, and `report` draws plots of the
file. The grid has Adam and AdamW, which take different routes in keras_adam. With the word
`options` after FOLDER, the grid has Adam with one option after the other. The optimizers of a cell
share one library, so they are in one process. They take turns, and the order is reversed each
round.
"""

import dataclasses
import itertools
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import keras
import numpy as np

from benchmarks import environment, optimizers
from benchmarks.device import synchronize
from benchmarks.run import parse_optimizer
from benchmarks.store import csv_file, schema
from benchmarks.store.csv_file import Row
from benchmarks.store.folder import hold, open_folder
from benchmarks.updates import peers

COUNTS = (4, 8, 20, 60, 200, 800)
SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
MOST_PARAMETERS = 60_000_000
"""The largest number of parameters in a cell; each competitor has variables of its own."""

Pairs = Mapping[str, str]
"""A mapping from each optimizer of keras_adam to Keras's counterpart."""

PAIRS: Pairs = {"keras_adam": "adam", "keras_adamw": "adamw"}
MODES = ("graph", "eager")

OPTIONS = (
    "",
    "clipnorm=1.0",
    "global_clipnorm=1.0",
    "clipvalue=0.5",
    "amsgrad=True",
    "use_ema=True",
    "loss_scale_factor=128.0",
    "gradient_accumulation_steps=2",
    "weight_decay=0.01",
    "weight_decay=0.01, global_clipnorm=1.0",
    "weight_decay=0.01, global_clipnorm=1.0, amsgrad=True, use_ema=True",
)
OPTION_COUNTS, OPTION_SIZES = (2, 8, 40), (100, 1_000, 10_000, 100_000)
ROUNDS, TURN_SECONDS, MOST_IN_TURN = 10, 0.03, 12
"""The number of rounds, the seconds of a turn, and its largest number of updates, after a
warm-up."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """Optimizers that take turns, with equal numbers of variables of one size."""

    pairs: Pairs
    mode: str
    count: int
    size: int


def cells_of_sizes() -> Iterator[Cell]:
    """Return the cells of Adam and AdamW, over all counts and sizes, in both modes."""
    for mode, count, size in itertools.product(MODES, COUNTS, SIZES):
        yield Cell(PAIRS, mode, count, size)


def cells_of_options() -> Iterator[Cell]:
    """Return the cells of each option, inside a graph."""
    for count, size, options in itertools.product(OPTION_COUNTS, OPTION_SIZES, OPTIONS):
        call = f"({options})" if options else ""
        yield Cell({f"keras_adam{call}": f"adam{call}"}, "graph", count, size)


GRIDS = {"sizes": cells_of_sizes, "options": cells_of_options}


def build(text: str, mode: str, count: int, size: int) -> Callable[[], None]:
    """Make `count` variables of `size` numbers, an optimizer and gradients; return its update.

    With gradient accumulation, the update is all the calls until the variables change.
    """
    optimizer = optimizers.build(parse_optimizer(text), peers.LEARNING_RATE)
    generator = np.random.default_rng(0)
    variables = [keras.Variable(generator.standard_normal(size, np.float32)) for _ in range(count)]
    gradients = [
        keras.ops.convert_to_tensor(generator.standard_normal(size, np.float32))
        for _ in range(count)
    ]
    optimizer.build(variables)
    start = peers.in_mode(lambda: optimizer.apply(gradients, variables), mode)
    calls = optimizer.gradient_accumulation_steps or 1

    def update() -> None:
        for _ in range(calls):
            start()
        synchronize(variables)

    return update


def race(cell: Cell, rounds: int) -> Iterator[Row]:
    """Let all optimizers take turns in one cell of the grid; yield a row for each."""
    updates = {
        text: build(text, cell.mode, cell.count, cell.size)
        for text in itertools.chain.from_iterable(cell.pairs.items())
    }
    for update in updates.values():
        update()
    seconds: dict[str, list[float]] = {text: [] for text in updates}
    for number in range(rounds):
        for text in list(updates)[:: -1 if number % 2 else 1]:
            turn = [_seconds(updates[text])]
            while len(turn) < 1 + MOST_IN_TURN and (sum(turn[1:]) < TURN_SECONDS):
                turn.append(_seconds(updates[text]))
            seconds[text] += turn[1:]
    for text, measured in seconds.items():
        yield {
            "variables": cell.count,
            "params_each": cell.size,
            "mode": cell.mode,
            "optimizer": text,
            "update_ms_min": min(measured) * 1e3,
            "update_ms_p50": float(np.median(measured)) * 1e3,
            "repetitions": len(measured),
        }


def _seconds(update: Callable[[], None]) -> float:
    begin = time.perf_counter()
    update()
    return time.perf_counter() - begin


def main(folder: Path, name: str = "sizes", rounds: int = ROUNDS) -> None:
    """Measure every cell that fits into the memory; write the rows."""
    if (folder / "grid.csv").exists():
        raise SystemExit(f"{folder}: holds a report already; name a new folder")
    command = shlex.join(["python", "-m", "benchmarks.updates.grid", *sys.argv[1:]])
    with hold(folder):
        open_folder(folder, command, environment.environment("tensorflow"))
        for cell in GRIDS[name]():
            if cell.count * cell.size <= MOST_PARAMETERS:
                rows = list(race(cell, rounds))
                csv_file.append(folder / "grid.csv", schema.GRID, rows)
                ms = {row["optimizer"]: row["update_ms_min"] for row in rows}
                ratios = [f"{b} / {a} {ms[b] / ms[a]:.2f}" for a, b in cell.pairs.items()]
                print(
                    f"{cell.mode} {cell.count} x {cell.size:,}, least: {', '.join(ratios)}",
                    flush=True,
                )
                keras.utils.clear_session(free_memory=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not {*sys.argv[2:]} <= GRIDS.keys():
        raise SystemExit(f"usage: python -m benchmarks.updates.grid FOLDER [{'|'.join(GRIDS)}]")
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "sizes")
