"""Watches a training run from within `fit`."""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from benchmarks.data.plan import Data
from benchmarks.device import synchronize
from benchmarks.run import RunConfig
from benchmarks.store.csv_file import Row
from benchmarks.training import disk
from benchmarks.training.clock import TrainingClock
from benchmarks.training.evaluation import evaluate
from benchmarks.training.messages import Epoch, Progress

Send = Callable[[Any], None]

PROGRESS_SECONDS = 0.2
"""The seconds between two `Progress` messages, which do not slow training measurably."""


class Monitor(keras.callbacks.Callback):
    """Watches a `fit`: clock, progress, divergence, and evaluation after each epoch."""

    # Keras may call `on_train_batch_end` from another thread while the next step runs. Without this
    # declaration Keras would wait for every step, which would slow the measured training.
    async_safe = True

    def __init__(
        self, config: RunConfig, images: Data, best_weights: Path | None, send: Send
    ) -> None:
        super().__init__()
        self.clock = TrainingClock(
            lambda: synchronize(self.model.variables),
            images.waited,
        )
        self.rows: list[Row] = []
        """The rows of `epochs.csv` for the epochs so far."""
        self.divergence = ""
        """The divergence in words, if the loss has become infinite or NaN."""
        self.problem = ""
        """The reason in words, if the best weights could not be written."""
        self._config = config
        self._images = images
        self._best_weights = best_weights
        self._trained_steps = 0
        self._steps = images.steps_per_epoch
        self._send = send
        self._lock = threading.Lock()
        self._epoch = 0
        self._last_progress = -math.inf

    def go_on(self, rows: list[Row]) -> None:
        """Take the epochs that the run had before it was interrupted.

        The data have an order for each epoch. tf.data makes a new order at each reading, so the
        orders of earlier epochs are skipped.
        """
        for row in rows:
            iter(self._images.train)
            self._end_epoch(row, restored=True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock of the epoch."""
        self._epoch = epoch + 1
        self._images.begin_epoch(epoch)
        self.clock.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stop after this step if it is the last one, or if the run has diverged.

        This is called in the thread that trains. On JAX, a stop from another thread would leave
        Keras with state that it has donated.
        """
        last = batch + self._config.steps_per_execution
        # Processes may notice a divergence at different steps. So they stop together at the end of
        # the epoch.
        diverged = self.divergence and self._config.processes == 1
        if diverged or self._trained_steps + last >= (self._config.max_steps or math.inf):
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Read the clock, notice divergence, send progress. Several threads call this.

        Keras waits for the results of the step before this call, because `logs` are a part of them.
        """
        # In the last call of several steps, Keras also counts steps without data.
        step = min(batch + 1, self._steps)
        self.clock.end_step(step)
        logs = logs or {}
        with self._lock:
            if not math.isfinite(logs["loss"]):
                self._diverged(logs["loss"], step)
            now = time.monotonic()
            if now - self._last_progress >= PROGRESS_SECONDS:
                self._last_progress = now
                self._send(Progress(self._epoch, step, self._steps, logs["loss"], logs["accuracy"]))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop the clock of the epoch, evaluate the other splits, send the epoch's row.

        The results on the validation split are added to `logs` for the following callbacks.
        """
        logs = {} if logs is None else logs
        steps, seconds = self.clock.end_epoch()
        row: Row = {
            "epoch": self._epoch,
            "steps": steps,
            "seconds": seconds,
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
        }
        if not self.divergence and not math.isfinite(logs["loss"]):
            self._diverged(logs["loss"], steps)
        began = time.perf_counter()
        if not self.divergence:
            if self._images.validation is not None:
                row |= self._evaluate(self._images.validation, "val")
                logs["val_loss"] = row["val_loss"]
                self._keep_best(row["val_accuracy"])
            row |= self._evaluate(self._images.test, "test")
            row["evaluation_seconds"] = time.perf_counter() - began
            row |= {
                "train_loss": logs["loss"],
                "train_accuracy": logs["accuracy"],
                "images_per_second": steps * self._config.batch_size / seconds,
            }
        self._end_epoch(row)
        if self.divergence or (self._config.stop_at_target and self.target()):
            self.model.stop_training = True

    def target(self) -> dict[str, float]:
        """Return `steps_to_target` and `seconds_to_target`, if the target has been reached."""
        target = self._config.target_accuracy
        column = "test_accuracy" if self._images.validation is None else "val_accuracy"
        for number, row in enumerate(self.rows, start=1):
            if target is not None and row.get(column, -math.inf) >= target:
                until = self.rows[:number]
                return {
                    "steps_to_target": sum(row["steps"] for row in until),
                    "seconds_to_target": sum(row["seconds"] for row in until),
                }
        return {}

    def _end_epoch(self, row: Row, restored: bool = False) -> None:
        self.rows.append(row)
        self._trained_steps += row["steps"]
        self._send(Epoch(row, restored))

    def _evaluate(self, images: Any, split: str) -> dict[str, float]:
        measured = evaluate(self.model, images, self._config)
        return {f"{split}_{name}": measured[name] for name in ("loss", "accuracy")}

    def _keep_best(self, accuracy: float) -> None:
        best = max((row["val_accuracy"] for row in self.rows), default=-math.inf)
        if self._best_weights is None or accuracy <= best:
            return
        variables = [*self.model.variables, *self.model.optimizer.variables]
        self.problem = disk.write(self._best_weights, variables, self.model.save_weights)

    def _diverged(self, loss: float, step: int) -> None:
        if not self.divergence:
            self.divergence = f"loss {loss} in epoch {self._epoch}, step {step}"
