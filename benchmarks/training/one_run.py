"""Does one training run in a worker process, from a configuration to measurements."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks import compilation, environment, models, optimizers, own_code, own_models
from benchmarks import device as devices
from benchmarks.data import batches, builders, on_disk, preparation
from benchmarks.data.fingerprint import fingerprint
from benchmarks.data.plan import Data
from benchmarks.errors import InputError, one_line
from benchmarks.run import RunConfig, parse_optimizer
from benchmarks.store.csv_file import Row
from benchmarks.training import replicas
from benchmarks.training.backup import Backup
from benchmarks.training.clock import median_ms
from benchmarks.training.evaluation import evaluate
from benchmarks.training.messages import Finished
from benchmarks.training.monitor import Monitor, Send

TIMES_THE_LOSS_OF_GUESSING = 10.0
"""If the loss of the last epoch is this many times that of guessing, the run has diverged too. With
dead units, the loss of a network can stay at 1e29 and never become infinite."""


LEAST_RATE = 1e-4
"""The least rate after plateaus, as a fraction of the first rate."""

PLATEAU = {"monitor": "val_loss", "factor": 0.2, "patience": 3}
"""Arguments of Keras's ReduceLROnPlateau: a fifth of the rate after three epochs without gain."""

INFERENCES, INFERENCE_SECONDS = 100, 2.0
"""The number of predictions that are timed, and the most seconds for them."""


def check_runs(
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    send: Send,
) -> None:
    """Find errors of every run before the first one; prepare the data; send `Checked`.

    Args:
        configs: the runs; their `device` is ignored.
        device: the requested device; None is the best one.
        data_dir: folder of the prepared data sets.
        manual_dir: folder with original files.
        send: function that takes the message.

    Raises:
        InputError: the device does not exist, an optimizer or a model refuses its arguments, or a
        data set is missing or has less than one batch.
    """
    backend = configs[0].backend
    device = devices.find(backend, device)
    replicas.check_devices(configs[0], device)
    for config in {(c.optimizer, c.learning_rate): c for c in configs}.values():
        optimizer = _optimizer(config, steps=1)
        try:  # only an update finds a value of the wrong kind
            variable = keras.Variable([1.0])
            optimizer.apply([keras.ops.ones(1)], [variable])
        except Exception as error:
            raise InputError(one_line(error), optimizer=config.optimizer) from error
    notes: list[str] = []
    digests: dict[str, str] = {}
    for config in configs:
        digests |= _code_digests(config)
    for config in {(c.dataset, c.model): c for c in configs}.values():
        preparation.prepare(config.dataset, data_dir, manual_dir, backend)
        with _damage_named(config, data_dir):
            images = _images(config, data_dir)
        notes += [f"{config.dataset}: {note}" for note in images.plan.notes]
        if config.dataset not in digests:
            digests[config.dataset] = fingerprint(images.plan.source)
        if config.weights or ":" in config.model:
            model = _model(config, images)
            if own_models.gives_probabilities(config.model, model):
                notes.append(
                    f"{config.model}: its outputs sum to 1, so they are taken as probabilities and "
                    "not as logits"
                )
    found = environment.environment(backend)
    send(environment.Checked(device, found, tuple(dict.fromkeys(notes)), digests))


def train_model(
    config: RunConfig,
    data_dir: Path | None,
    best_weights: Path | None,
    backup: Path | None,
    send: Send,
) -> None:
    """Train one model; send `Progress` sometimes, `Epoch` after each epoch, `Finished` at the end.

    If the loss is not finite, the run ends with status `diverged`. If the loss is far too large
    after the last epoch, the run has this status too. Its measurements then say nothing about the
    optimizer, so throughput and test accuracy stay blank.

    Args:
        config: the run.
        data_dir: folder of the prepared data sets.
        best_weights: file for the weights after the epoch with the best validation accuracy.
        backup: folder for backups of epochs; if it has a backup, the run continues from it.
        send: function that takes the messages.

    Raises:
        InputError: an image of a folder is damaged, or one of the errors of `check_runs`.
    """
    scope = replicas.replicate(config)  # before any device is used
    keras.config.set_dtype_policy(config.precision)
    keras.utils.set_random_seed(config.seed)  # also for the order of the images
    with _damage_named(config, data_dir):
        images = _images(config, data_dir)
    _check_identity(config, images)
    try:
        with _damage_named(config, data_dir):
            images.fill_caches()
            # JAX lets only the first of several processes write programs; the others would wait.
            alone = config.processes == 1
            cache = compilation.from_disk(config.backend) if alone else contextlib.nullcontext()
            with cache:
                with scope:
                    model, train = _build(config, images)
                # On JAX, the first evaluation makes Keras compile the training step again. So one
                # batch is evaluated now, because there is no compiled step yet. After the first
                # epoch, the second compilation would be timed.
                evaluate(model, images.test.take(1), config)
            with compilation.anew(config.backend):
                _train(config, images, model, train, best_weights, backup, send)
    except Exception:
        if (failure := images.failure()) is not None:
            raise failure from None
        raise


def _code_digests(config: RunConfig) -> dict[str, str]:
    """Return the digest of each part of a run that is the user's own code, by its name."""
    names = (config.model, parse_optimizer(config.optimizer).name)
    found = {name: own_code.digest(name) for name in names}
    return {name: digest for name, digest in found.items() if digest is not None}


def _check_identity(config: RunConfig, images: Data) -> None:
    """Raise an `InputError` if data or code have changed since the sweep began."""
    digests = {config.dataset: fingerprint(images.plan.source), **_code_digests(config)}
    for column, name in config.named().items():
        before, now = getattr(config, column), digests.get(name)
        if before is not None and now != before:
            raise InputError(
                f"{name} has changed since the sweep began: {column} was {before} and is {now}; "
                "start again with another --output"
            )


def _build(config: RunConfig, images: Data) -> tuple[Any, Any]:
    """Return the model, compiled and with a built optimizer, and the batches of `fit`."""
    steps = config.epochs * images.steps_per_epoch
    jit_compile = "auto" if config.jit_compile == "auto" else config.jit_compile == "true"
    model = _model(config, images)
    optimizer = _optimizer(config, min(steps, config.max_steps or steps))
    from_logits = not own_models.gives_probabilities(config.model, model)
    models.compile_for_training(
        model, optimizer, jit_compile, config.steps_per_execution, from_logits
    )
    model.optimizer.build(model.trainable_variables)  # may be a wrapper that scales the loss
    return model, replicas.divide(images.train, images.steps_per_epoch, config)


def _train(
    config: RunConfig,
    images: Data,
    model: Any,
    train: Any,
    best_weights: Path | None,
    backup: Path | None,
    send: Send,
) -> None:
    monitor = Monitor(config, images, best_weights, send)
    callbacks = [monitor]
    plateau = None
    if config.schedule == "reduce-on-plateau":
        plateau = keras.callbacks.ReduceLROnPlateau(
            **PLATEAU, min_lr=LEAST_RATE * config.learning_rate
        )
        callbacks.append(plateau)
    keeper = None
    if backup is not None:
        keeper = Backup(backup, monitor, plateau, config.epochs, together=config.processes > 1)
        keeper.restore_epochs()
        callbacks.append(keeper)
    model.fit(
        train,
        epochs=config.epochs,
        # Without this, Keras begins to read the data twice an epoch, each time in a new order. A
        # run that continues could not know the order.
        steps_per_epoch=images.steps_per_epoch,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    )
    divergence = monitor.divergence or _divergence(monitor.rows[-1], images.classes)

    row = {
        "status": "ok",
        "jit_compile": bool(model.jit_compile),
        **images.plan.counts,
        "params": model.count_params(),
        "peak_memory_mb": devices.peak_memory_mb(config.backend, config.device),
        "optimizer_state_mb": devices.megabytes_on_one(model.optimizer.variables),
        # The caller adds the seconds of this process.
        "wall_seconds": keeper.earlier_seconds if keeper else 0.0,
        "best_test_accuracy": max(
            (row["test_accuracy"] for row in monitor.rows if "test_accuracy" in row), default=None
        ),
    }
    if divergence:
        row |= {"status": "diverged", "error": divergence}
    else:
        row |= monitor.clock.measurements(config.batch_size)
        row |= monitor.target()
        row["train_seconds"] = sum(row["seconds"] for row in monitor.rows)
        # An epoch in a backup of an older version has no such value.
        row["evaluation_seconds"] = sum(row.get("evaluation_seconds", 0) for row in monitor.rows)
        row["test_accuracy"] = monitor.rows[-1]["test_accuracy"]
        problems = [monitor.problem, keeper.problem if keeper else "", *_unmeasured(row, config)]
        row["error"] = "; ".join(filter(None, problems)) or None
        if config.processes == 1:  # several would all have to make the same number of predictions
            row["inference_ms_p50"] = _inference_ms(model, images)
    send(Finished(row))


def _unmeasured(row: Row, config: RunConfig) -> list[str]:
    """Say why there is no throughput, if it is missing."""
    if "images_per_second" in row:
        return []
    if config.steps_per_execution > 1:
        return ["no throughput: the first call, of all steps, is warm-up; see steps_per_execution"]
    return ["no throughput: the only step is warm-up"]


def _divergence(last: Row, classes: int) -> str:
    """Say in words that the loss of the last epoch is far too large, if it is.

    The loss must be too large on both the training images and the other images. The mean over a
    short epoch may include very bad first steps. A model that has memorised the training images may
    be wrong about others with great confidence.
    """
    guessing = math.log(max(classes, 2))
    loss = min(last["train_loss"], last["test_loss"])
    if loss <= TIMES_THE_LOSS_OF_GUESSING * guessing and math.isfinite(last["test_loss"]):
        return ""
    return f"loss {last['test_loss']:.4g} after the last epoch; guessing has {guessing:.4g}"


@contextlib.contextmanager
def _damage_named(config: RunConfig, data_dir: Path | None) -> Iterator[None]:
    """Name the damaged file of a TFDS set; TensorFlow says only that some file is damaged."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "DataLossError":
            raise
        folder = Path(builders.find(config.dataset, data_dir).data_dir)
        lines = on_disk.damage(folder, data_dir) or [one_line(error)]
        raise InputError(
            f"{lines[0]}; `python -m benchmarks data verify` says how to repair it",
            dataset=config.dataset,
        ) from error


def _images(config: RunConfig, data_dir: Path | None) -> Data:
    return batches.load(config, data_dir, share=(config.processes, replicas.process_id(config)))


def _model(config: RunConfig, images: Data) -> Any:
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
    schedules = keras.optimizers.schedules
    warmup = config.warmup_steps
    if config.schedule == "cosine":
        decay = max(steps - warmup, 1)
        if warmup:
            rate = schedules.CosineDecay(0.0, decay, warmup_target=rate, warmup_steps=warmup)
        else:
            rate = schedules.CosineDecay(rate, decay)
    elif warmup:
        rate = schedules.PolynomialDecay(0.0, warmup, end_learning_rate=rate, power=1.0)
    return optimizers.build(parse_optimizer(config.optimizer), rate)


def _inference_ms(model: Any, images: Data) -> float:
    """Return the median time of a prediction for one image, with image and logits in memory."""
    image = np.zeros((1, *images.image_shape), np.float32)
    return median_ms(lambda: model.predict_on_batch(image), INFERENCES, INFERENCE_SECONDS)
