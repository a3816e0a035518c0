"""One training run: a configuration in, measurements out. Runs in a worker process."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks import device as devices
from benchmarks import environment, models, optimizers
from benchmarks.data import batches, preparation
from benchmarks.errors import InputError, one_line
from benchmarks.run import RunConfig, parse_optimizer
from benchmarks.training.clock import median_ms
from benchmarks.training.messages import Finished
from benchmarks.training.monitor import Monitor, Send

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
    device = devices.find(backend, device)
    for config in {(c.optimizer, c.learning_rate): c for c in configs}.values():
        optimizer = _optimizer(config, steps=1)
        try:  # a value of the wrong kind shows only in an update
            variable = keras.Variable([1.0])
            optimizer.apply([keras.ops.ones(1)], [variable])
        except Exception as error:
            raise InputError(one_line(error), optimizer=config.optimizer) from error
    for config in {(c.dataset, c.model): c for c in configs}.values():
        preparation.prepare(config.dataset, data_dir, manual_dir)
        images = _images(config, data_dir)
        if config.weights or ":" in config.model:
            _model(config, images)
    send(environment.Checked(device, environment.environment(backend)))


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
        "peak_memory_mb": devices.peak_memory_mb(config.backend, config.device),
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


def _images(config: RunConfig, data_dir: Path | None) -> batches.Data:
    return batches.load(
        config.dataset,
        config.batch_size,
        config.seed,
        data_dir,
        validation=config.validation,
        augment=config.augment,
        image_size=config.image_size,
        workers=config.data_workers,
        watch=config.data_wait,
    )


def _model(config: RunConfig, images: batches.Data) -> Any:
    model = models.build(config.model, images.image_shape, images.classes, config.seed)
    if config.weights:
        try:
            model.load_weights(config.weights)
        except Exception as error:
            raise InputError(
                f"not for {config.model} on {config.dataset}: {one_line(error)}",
                weights=config.weights,
            ) from error
    return model


def _optimizer(config: RunConfig, steps: int) -> Any:
    rate: Any = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    return optimizers.build(parse_optimizer(config.optimizer), rate)


def _inference_ms(model: Any, images: batches.Data) -> float:
    """Time the prediction for one image, from the image in memory to the logits in memory."""
    image = np.zeros((1, *images.image_shape), np.float32)
    return median_ms(lambda: model.predict_on_batch(image), INFERENCES, INFERENCE_SECONDS)
