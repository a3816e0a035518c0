"""An update of equal variables, many or few, large or small, beside Keras's.

`python -m benchmarks.updates.grid FOLDER` writes FOLDER/grid.csv, of which `report` makes
pictures. Adam and AdamW take the two routes of keras_adam, Keras's are the measure. All live in
one process, since they share one library, and take turns there and back.
"""

import itertools
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from benchmarks import environment, optimizers
from benchmarks.device import synchronize
from benchmarks.run import parse_optimizer
from benchmarks.store import csv_file, schema
from benchmarks.store.csv_file import Row
from benchmarks.store.folder import open_folder
from benchmarks.updates import peers

COUNTS = (4, 8, 20, 60, 200, 800)
SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
MOST_PARAMETERS = 60_000_000
"""All competitors of a cell hold theirs at once."""

PAIRS = {"keras_adam": "adam", "keras_adamw": "adamw"}
MODES = ("graph", "eager")
ROUNDS, TURN_SECONDS, MOST_IN_TURN = 10, 0.03, 12
"""A turn lasts about so long, with so many updates at most, after one to warm up."""


def build(text: str, mode: str, count: int, size: int) -> Callable[[], None]:
    """Make `count` variables of `size` numbers, an optimizer and gradients; return its update."""
    optimizer = optimizers.build(parse_optimizer(text), peers.LEARNING_RATE)
    generator = np.random.default_rng(0)
    variables = [keras.Variable(generator.standard_normal(size, np.float32)) for _ in range(count)]
    gradients = [
        keras.ops.convert_to_tensor(generator.standard_normal(size, np.float32))
        for _ in range(count)
    ]
    optimizer.build(variables)
    start = peers.in_mode(lambda: optimizer.apply(gradients, variables), mode)

    def update() -> None:
        start()
        synchronize(variables)

    return update


def race(count: int, size: int, mode: str, rounds: int) -> Iterator[Row]:
    """Let all optimizers take turns in one cell of the grid; yield a row for each."""
    updates = {
        text: build(text, mode, count, size)
        for text in itertools.chain.from_iterable(PAIRS.items())
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
            "variables": count,
            "params_each": size,
            "mode": mode,
            "optimizer": text,
            "update_ms_min": min(measured) * 1e3,
            "update_ms_p50": float(np.median(measured)) * 1e3,
            "repetitions": len(measured),
        }


def _seconds(update: Callable[[], None]) -> float:
    begin = time.perf_counter()
    update()
    return time.perf_counter() - begin


def main(folder: Path, rounds: int = ROUNDS) -> None:
    """Measure every cell that fits into the memory; write the rows."""
    if (folder / "grid.csv").exists():
        raise SystemExit(f"{folder}: holds a report already; name a new folder")
    command = shlex.join(["python", "-m", "benchmarks.updates.grid", *sys.argv[1:]])
    open_folder(folder, command, environment.environment("tensorflow"))
    for mode, count, size in itertools.product(MODES, COUNTS, SIZES):
        if count * size <= MOST_PARAMETERS:
            rows = list(race(count, size, mode, rounds))
            csv_file.append(folder / "grid.csv", schema.GRID, rows)
            ms = {row["optimizer"]: row["update_ms_min"] for row in rows}
            ratios = [f"{b} / {a} {ms[b] / ms[a]:.2f}" for a, b in PAIRS.items()]
            print(f"{mode} {count} x {size:,}, least: {', '.join(ratios)}", flush=True)
            keras.utils.clear_session(free_memory=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m benchmarks.updates.grid FOLDER")
    main(Path(sys.argv[1]))
