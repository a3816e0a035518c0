"""One training run: a configuration in, measurements out. Runs in a worker process."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks import data, environment, models, optimizers
from benchmarks.clock import TrainingClock, median_ms, synchronize
from benchmarks.config import InputError, RunConfig, one_line, parse_optimizer
from benchmarks.events import Checked, Epoch, Finished, Progress

Send = Callable[[Any], None]

PROGRESS_SECONDS = 0.2
"""Between two `Progress` messages: often enough for the eye, too seldom to be measured."""

TIMES_THE_LOSS_OF_GUESSING = 10.0
"""A run whose last epoch is worse than that has diverged too: with dead units, a network can
lose by 1e29 for ever and never reach infinity."""


PLATEAU = {"monitor": "val_loss", "factor": 0.2, "patience": 3}
"""Of Keras's ReduceLROnPlateau: after three epochs without a better loss, a fifth of the rate."""

INFERENCES, INFERENCE_SECONDS = 100, 2.0
"""How many predictions are timed, and for how long at most."""


def check(
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    send: Send,
) -> None:
    """Find what would fail in every run, before the first; prepare the data; send `Checked`.

    Args:
        configs: the runs; their `device` does not count.
        device: the one asked for; None is the best there is.
        data_dir: where prepared data sets lie.
        manual_dir: folder with original files.
        send: takes the message.

    Raises:
        InputError: the device is not there, an optimizer or a model refuses
            its arguments, or a data set cannot be had or has less than a batch.
    """
    backend = configs[0].backend
    gpus = environment.gpu_names(backend)
    if device == "gpu" and not gpus:
        raise InputError(f"--device 'gpu': {backend} sees no GPU on this machine; valid is: cpu")
    for config in {(c.optimizer, c.learning_rate): c for c in configs}.values():
        optimizer = _optimizer(config, steps=1)
        try:  # a value of the wrong kind shows only in an update
            variable = keras.Variable([1.0])
            optimizer.apply([keras.ops.ones(1)], [variable])
        except Exception as error:
            raise InputError(f"--optimizer {config.optimizer!r}: {one_line(error)}") from error
    for config in {(c.dataset, c.model): c for c in configs}.values():
        data.prepare(config.dataset, data_dir, manual_dir)
        images = _images(config, data_dir)
        if config.weights or ":" in config.model:
            _model(config, images)
    send(Checked(device or ("gpu" if gpus else "cpu"), environment.environment(backend)))


def run(config: RunConfig, data_dir: Path | None, best_weights: Path | None, send: Send) -> None:
    """Train one model; send `Progress` now and then, an `Epoch` each epoch, `Finished` at the end.

    With a `best_weights`, the weights after the epoch with the best validation accuracy are
    in that file when this returns.

    A loss that is not finite ends the run with status `diverged`; one that is
    absurd in the last epoch gives it that status. What was measured is then no
    measure of the optimizer, so throughput and test accuracy stay blank.
    """
    keras.config.set_dtype_policy(config.precision)
    images = _images(config, data_dir)
    images.fill_caches()
    model = _model(config, images)
    optimizer = _optimizer(config, config.epochs * images.steps_per_epoch)
    jit_compile = "auto" if config.jit_compile == "auto" else config.jit_compile == "true"
    models.compile_for_training(model, optimizer, jit_compile)
    # On JAX, the first evaluation makes Keras compile the training step again. Before `fit`
    # there is nothing yet to compile twice; after its first epoch it would be on the clock.
    model.evaluate(images.test.take(1), verbose=0)
    monitor = Monitor(config, images, best_weights, send)
    callbacks = [monitor]
    if config.schedule == "reduce-on-plateau":
        callbacks.append(keras.callbacks.ReduceLROnPlateau(**PLATEAU))
    history = model.fit(
        images.train, epochs=config.epochs, shuffle=False, verbose=0, callbacks=callbacks
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
        row |= monitor.target
        row["test_accuracy"] = monitor.test_accuracies[-1]
        row["inference_ms_p50"] = _inference_ms(model, images)
    send(Finished(row))


def _images(config: RunConfig, data_dir: Path | None) -> data.Data:
    return data.load(
        config.dataset,
        config.batch_size,
        config.seed,
        data_dir,
        validation=config.validation,
        augment=config.augment,
        workers=config.data_workers,
        watch=config.data_wait,
    )


def _model(config: RunConfig, images: data.Data) -> Any:
    model = models.build(config.model, images.image_shape, images.classes, config.seed)
    if config.weights:
        try:
            model.load_weights(config.weights)
        except Exception as error:
            raise InputError(
                f"--weights {config.weights!r}: not for {config.model} on {config.dataset}: "
                f"{one_line(error)}"
            ) from error
    return model


def _optimizer(config: RunConfig, steps: int) -> Any:
    rate: Any = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    return optimizers.build(parse_optimizer(config.optimizer), rate)


def _inference_ms(model: Any, images: data.Data) -> float:
    """Time the prediction for one image, from the image in memory to the logits in memory."""
    image = np.zeros((1, *images.image_shape), np.float32)
    return median_ms(lambda: model.predict_on_batch(image), INFERENCES, INFERENCE_SECONDS)


class Monitor(keras.callbacks.Callback):
    """Watches a `fit`: clock, progress, divergence, and the other splits after each epoch."""

    # Keras may call `on_train_batch_end` from another thread while the next step runs.
    # Without this promise it would wait for every step and so slow what is measured.
    async_safe = True

    def __init__(
        self, config: RunConfig, images: data.Data, best_weights: Path | None, send: Send
    ) -> None:
        super().__init__()
        self.clock = TrainingClock(
            lambda: synchronize(self.model.variables),
            images.waiting.seconds if images.waiting else None,
        )
        self.test_accuracies: list[float] = []
        self.target: dict[str, float] = {}
        """`steps_to_target` and `seconds_to_target`, once it is reached."""
        self.divergence = ""
        """In words, if the loss has become infinite or NaN."""
        self._config = config
        self._images = images
        self._best_weights = best_weights
        self._best_accuracy = -math.inf
        self._trained_steps = 0
        self._trained_seconds = 0.0
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
        """Stop the clock of the epoch, measure on the other splits, send the epoch's row.

        What the validation split says goes into `logs` for the callbacks that come after this
        one.
        """
        logs = {} if logs is None else logs
        steps, seconds = self.clock.end_epoch()
        self._trained_steps += steps
        self._trained_seconds += seconds
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
            if self._images.validation is not None:
                row |= self._evaluate(self._images.validation, "val")
                logs["val_loss"] = row["val_loss"]
                self._keep_best(row["val_accuracy"])
            row |= self._evaluate(self._images.test, "test")
            self.test_accuracies.append(row["test_accuracy"])
            target = self._config.target_accuracy
            if target is not None and not self.target and row["test_accuracy"] >= target:
                self.target = {
                    "steps_to_target": self._trained_steps,
                    "seconds_to_target": self._trained_seconds,
                }
            row |= {
                "train_loss": logs["loss"],
                "train_accuracy": logs["accuracy"],
                "images_per_second": steps * self._config.batch_size / seconds,
            }
        self._send(Epoch(row))

    def _evaluate(self, images: Any, split: str) -> dict[str, float]:
        measured = self.model.evaluate(images, verbose=0, return_dict=True)
        return {f"{split}_{name}": measured[name] for name in ("loss", "accuracy")}

    def _keep_best(self, accuracy: float) -> None:
        if self._best_weights is None or accuracy <= self._best_accuracy:
            return
        self._best_accuracy = accuracy
        new = self._best_weights.with_name(f".new-{self._best_weights.name}")
        self.model.save_weights(new)
        new.replace(self._best_weights)  # the old one is whole until the new one is

    def _diverged(self, loss: float, step: int) -> None:
        if not self.divergence:
            self.divergence = f"loss {loss} in epoch {self._epoch}, step {step}"
