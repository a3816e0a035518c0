"""The overhead of measuring: `python -m benchmarks.training.overhead FOLDER` writes overhead.csv.

Epochs of one model are trained in turn: watched as `train` watches them, and bare, with a callback
that only reads the clock at the beginning and the end. The data set is the digits and the network
is small, because the shortest steps show the most overhead.
"""

import shlex
import sys
import time
from pathlib import Path

import keras

from benchmarks import environment, models, optimizers
from benchmarks.data import batches, preparation
from benchmarks.run import RunConfig, parse_optimizer
from benchmarks.store import csv_file, schema
from benchmarks.store.folder import hold, open_folder
from benchmarks.training.monitor import Monitor

EPOCHS = 5
"""The number of epochs in each turn; the first is left out, as in a run."""

CONFIG = RunConfig(
    dataset="digits",
    model="2c2d",
    optimizer="keras_adam",
    learning_rate=0.001,
    seed=0,
    epochs=EPOCHS,
    batch_size=32,
    device="cpu",
    backend="tensorflow",
    jit_compile="auto",
)


class Clock(keras.callbacks.Callback):
    """Reads the clock at the beginning and the end of an epoch."""

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self._begin)


def main(folder: Path, data_dir: Path | None = None, rounds: int = 24) -> None:
    """Measure, write a row for each turn, print the median ratio and its quartiles."""
    if (folder / "overhead.csv").exists():
        raise SystemExit(f"{folder}: holds a report already; name a new folder")
    preparation.prepare(CONFIG.dataset, data_dir, None)
    images = batches.load(CONFIG, data_dir)
    images.fill_caches()
    model = models.build(CONFIG.model, images.image_shape, images.classes, CONFIG.seed)
    optimizer = optimizers.build(parse_optimizer(CONFIG.optimizer), CONFIG.learning_rate)
    models.compile_for_training(model, optimizer)

    def fit(callback: keras.callbacks.Callback) -> None:
        model.fit(images.train, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[callback])

    def watched() -> float:
        monitor = Monitor(CONFIG, images, None, lambda _: None)
        fit(monitor)
        return monitor.clock.measurements(CONFIG.batch_size)["images_per_second"]

    def bare() -> float:
        clock = Clock()
        fit(clock)
        steps = images.steps_per_epoch * (EPOCHS - 1)
        return steps * CONFIG.batch_size / sum(clock.seconds[1:])

    bare()
    watched()
    command = shlex.join(["python", "-m", "benchmarks.training.overhead", *sys.argv[1:]])
    with hold(folder):
        open_folder(folder, command, environment.environment("tensorflow"))
        for number in range(rounds):
            turns = [("watched", watched), ("bare", bare)]
            for way, measure in turns if number % 2 else reversed(turns):
                row = {"round": number, "way": way, "images_per_second": measure()}
                csv_file.append(folder / "overhead.csv", schema.OVERHEAD, [row])
    found = csv_file.read(folder / "overhead.csv", schema.OVERHEAD)
    by_way = found.pivot(index="round", columns="way")
    ratios = by_way["images_per_second", "watched"] / by_way["images_per_second", "bare"]
    low, median, high = ratios.quantile([0.25, 0.5, 0.75])
    print(f"watched / bare: {median:.3f}, quartiles {low:.3f} to {high:.3f}, n = {len(ratios)}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m benchmarks.training.overhead FOLDER")
    main(Path(sys.argv[1]))
