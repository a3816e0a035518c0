"""One training run: a configuration in, measurements out. Runs in a worker process."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from benchmarks import data, environment, models, optimizers
from benchmarks.clock import TrainingClock, synchronize
from benchmarks.config import InputError, RunConfig, one_line, parse_optimizer
from benchmarks.events import Checked, Epoch, Finished, Progress

Send = Callable[[Any], None]

PROGRESS_SECONDS = 0.2
"""Between two `Progress` messages: often enough for the eye, too seldom to be measured."""

TIMES_THE_LOSS_OF_GUESSING = 10.0
"""A run whose last epoch is worse than that has diverged too: with dead units, a network can
lose by 1e29 for ever and never reach infinity."""


def check(
    specs: Sequence[str],
    datasets: Sequence[str],
    batch_size: int,
    backend: str,
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    send: Send,
) -> None:
    """Find what would fail in every run, before the first; prepare the data; send `Checked`.

    Raises:
        InputError: the device is not there, an optimizer refuses its
            arguments, or a data set cannot be had or has less than a batch.
    """
    gpus = environment.gpu_names(backend)
    if device == "gpu" and not gpus:
        raise InputError(f"--device 'gpu': {backend} sees no GPU on this machine; valid is: cpu")
    for text in specs:
        spec = parse_optimizer(text)
        optimizer = optimizers.build(spec, optimizers.learning_rate(spec, None))
        try:  # a value of the wrong kind shows only in an update
            variable = keras.Variable([1.0])
            optimizer.apply([keras.ops.ones(1)], [variable])
        except Exception as error:
            raise InputError(f"--optimizer {text!r}: {one_line(error)}") from error
    for name in datasets:
        data.prepare(name, data_dir, manual_dir)
        data.load(name, batch_size, 0, data_dir)
    send(Checked(device or ("gpu" if gpus else "cpu"), environment.environment(backend)))


def run(config: RunConfig, data_dir: Path | None, send: Send) -> None:
    """Train one model; send `Progress` now and then, an `Epoch` each epoch, `Finished` at the end.

    A loss that is not finite ends the run with status `diverged`; one that is
    absurd in the last epoch gives it that status. What was measured is then no
    measure of the optimizer, so throughput and test accuracy stay blank.
    """
    images = data.load(config.dataset, config.batch_size, config.seed, data_dir)
    images.fill_caches()
    model = models.build(config.model, images.image_shape, images.classes, config.seed)
    model.compile(
        optimizer=optimizers.build(parse_optimizer(config.optimizer), config.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile={"auto": "auto", "true": True, "false": False}[config.jit_compile],
    )
    # On JAX, the first evaluation makes Keras compile the training step again. Before `fit`
    # there is nothing yet to compile twice; after its first epoch it would be on the clock.
    model.evaluate(images.test.take(1), verbose=0)
    monitor = Monitor(config, images, send)
    history = model.fit(
        images.train, epochs=config.epochs, shuffle=False, verbose=0, callbacks=[monitor]
    )
    last_loss, guessing = history.history["loss"][-1], math.log(max(images.classes, 2))
    if not monitor.divergence and last_loss > TIMES_THE_LOSS_OF_GUESSING * guessing:
        monitor.divergence = f"loss {last_loss:.4g} in the last epoch; guessing has {guessing:.4g}"

    row = {
        "status": "ok",
        "jit_compile": bool(model.jit_compile),
        "params": model.count_params(),
        "peak_memory_mb": environment.peak_memory_mb(config.backend, config.device),
        "best_test_accuracy": max(monitor.test_accuracies, default=None),
    }
    if monitor.divergence:
        row |= {"status": "diverged", "error": monitor.divergence}
    else:
        row |= monitor.clock.measurements(config.batch_size)
        row["test_accuracy"] = monitor.test_accuracies[-1]
    send(Finished(row))


class Monitor(keras.callbacks.Callback):
    """Watches a `fit`: clock, progress, divergence, and the test split after each epoch."""

    # Keras may call `on_train_batch_end` from another thread while the next step runs.
    # Without this promise it would wait for every step and so slow what is measured.
    async_safe = True

    def __init__(self, config: RunConfig, images: data.Data, send: Send) -> None:
        super().__init__()
        self.clock = TrainingClock(lambda: synchronize(self.model.variables))
        self.test_accuracies: list[float] = []
        self.divergence = ""
        """In words, if the loss has become infinite or NaN."""
        self._config = config
        self._images = images
        self._send = send
        self._lock = threading.Lock()
        self._epoch = 0
        self._last_progress = -math.inf

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock of the epoch."""
        self._epoch = epoch + 1
        self.clock.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stop after this step if the run has diverged.

        From the thread that trains: on JAX, to stop from another leaves Keras with state that
        it has given away.
        """
        if self.divergence:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Read the clock, notice divergence, tell how it goes. Called from several threads.

        Before it calls this, Keras waits for the results of the step, of which `logs` are part.
        """
        self.clock.end_step()
        logs = logs or {}
        with self._lock:
            if not math.isfinite(logs["loss"]):
                self._diverged(logs["loss"], batch + 1)
            now = time.monotonic()
            if now - self._last_progress >= PROGRESS_SECONDS:
                self._last_progress = now
                steps = self._images.steps_per_epoch
                self._send(Progress(self._epoch, batch + 1, steps, logs["loss"], logs["accuracy"]))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop the clock of the epoch, measure the test accuracy, send the epoch's row."""
        logs = logs or {}
        steps, seconds = self.clock.end_epoch()
        row = {
            "epoch": self._epoch,
            "steps": steps,
            "seconds": seconds,
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        if not self.divergence and not math.isfinite(logs["loss"]):
            self._diverged(logs["loss"], steps)
        if self.divergence:
            self.model.stop_training = True
        else:
            test = self.model.evaluate(self._images.test, verbose=0, return_dict=True)
            self.test_accuracies.append(test["accuracy"])
            row |= {
                "train_loss": logs["loss"],
                "train_accuracy": logs["accuracy"],
                "test_loss": test["loss"],
                "test_accuracy": test["accuracy"],
                "images_per_second": steps * self._config.batch_size / seconds,
            }
        self._send(Epoch(row))

    def _diverged(self, loss: float, step: int) -> None:
        if not self.divergence:
            self.divergence = f"loss {loss} in epoch {self._epoch}, step {step}"
