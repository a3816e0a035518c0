"""One training run: a configuration in, measurements out. Runs in a worker process."""

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
"""A run whose last epoch is worse than that has diverged too: with dead units, a network can
lose by 1e29 for ever and never reach infinity."""


LEAST_RATE = 1e-4
"""A part of the rate that a run begins with; below it, no plateau makes the rate smaller."""

PLATEAU = {"monitor": "val_loss", "factor": 0.2, "patience": 3}
"""Of Keras's ReduceLROnPlateau: after three epochs without a better loss, a fifth of the rate."""

INFERENCES, INFERENCE_SECONDS = 100, 2.0
"""How many predictions are timed, and for how long at most."""


def check_runs(
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
    replicas.check_devices(configs[0], device)
    for config in {(c.optimizer, c.learning_rate): c for c in configs}.values():
        optimizer = _optimizer(config, steps=1)
        try:  # a value of the wrong kind shows only in an update
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
    """Train one model; send `Progress` now and then, an `Epoch` each epoch, `Finished` at the end.

    A loss that is not finite ends the run with status `diverged`; one that is
    absurd after the last epoch gives it that status. What was measured is then
    no measure of the optimizer, so throughput and test accuracy stay blank.

    Args:
        config: the run.
        data_dir: where prepared data sets lie.
        best_weights: file for the weights after the epoch with the best validation accuracy.
        backup: folder to which epochs are backed up, and from which the run goes on if it
            has one.
        send: takes the messages.

    Raises:
        InputError: an image of a folder is damaged, or what `check` would have found.
    """
    scope = replicas.replicate(config)  # before anything touches a device
    keras.config.set_dtype_policy(config.precision)
    keras.utils.set_random_seed(config.seed)  # which the order of the images depends on, too
    with _damage_named(config, data_dir):
        images = _images(config, data_dir)
    _check_identity(config, images)
    try:
        with _damage_named(config, data_dir):
            images.fill_caches()
            with scope, compilation.from_disk(config.backend):
                model, train = _build(config, images)
            with compilation.anew(config.backend):
                _train(config, images, model, train, best_weights, backup, send)
    except Exception:
        if (failure := images.failure()) is not None:
            raise failure from None
        raise


def _code_digests(config: RunConfig) -> dict[str, str]:
    """Return the digest of each part of a run that is code of the user's own, by its name."""
    names = (config.model, parse_optimizer(config.optimizer).name)
    found = {name: own_code.digest(name) for name in names}
    return {name: digest for name, digest in found.items() if digest is not None}


def _check_identity(config: RunConfig, images: Data) -> None:
    """Raise an `InputError` if the names stand for something else than when the sweep began."""
    digests = {config.dataset: fingerprint(images.plan.source), **_code_digests(config)}
    for column, name in config.named().items():
        before, now = getattr(config, column), digests.get(name)
        if before is not None and now != before:
            raise InputError(
                f"{name} has changed since the sweep began: {column} was {before} and is {now}; "
                "begin anew, with another --output"
            )


def _build(config: RunConfig, images: Data) -> tuple[Any, Any]:
    """Return the model, compiled for training, its optimizer built; and the batches of `fit`."""
    steps = config.epochs * images.steps_per_epoch
    jit_compile = "auto" if config.jit_compile == "auto" else config.jit_compile == "true"
    model = _model(config, images)
    optimizer = _optimizer(config, min(steps, config.max_steps or steps))
    from_logits = not own_models.gives_probabilities(config.model, model)
    models.compile_for_training(
        model, optimizer, jit_compile, config.steps_per_execution, from_logits
    )
    model.optimizer.build(model.trainable_variables)  # which may be another: it scales the loss
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
    # On JAX, the first evaluation makes Keras compile the training step again. Before `fit`
    # there is nothing yet to compile twice; after its first epoch it would be on the clock.
    evaluate(model, images.test.take(1), config)
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
        # Without this, Keras begins to read the data twice an epoch, and each time they have a
        # new order: a run that goes on could not know which.
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
        "wall_seconds": keeper.earlier_seconds if keeper else 0.0,  # the caller adds this process
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
        # An epoch of a backup of an older version lacks it.
        row["evaluation_seconds"] = sum(row.get("evaluation_seconds", 0) for row in monitor.rows)
        row["test_accuracy"] = monitor.rows[-1]["test_accuracy"]
        problems = [monitor.problem, keeper.problem if keeper else "", *_unmeasured(row, config)]
        row["error"] = "; ".join(filter(None, problems)) or None
        if config.processes == 1:  # it is for one; together they would have to do it as often
            row["inference_ms_p50"] = _inference_ms(model, images)
    send(Finished(row))


def _unmeasured(row: Row, config: RunConfig) -> list[str]:
    """Say why there is no throughput, if there is none."""
    if "images_per_second" in row:
        return []
    if config.steps_per_execution > 1:
        return ["no throughput: the first call, of all steps, is warm-up; see steps_per_execution"]
    return ["no throughput: the only step is warm-up"]


def _divergence(last: Row, classes: int) -> str:
    """Say in words how absurd the last epoch is, if it is.

    On the images that were trained on and on the others: the mean over a short
    epoch may hold absurd first steps, and who knows the training images by
    heart may be wrong about others with great confidence.
    """
    guessing = math.log(max(classes, 2))
    loss = min(last["train_loss"], last["test_loss"])
    if loss <= TIMES_THE_LOSS_OF_GUESSING * guessing and math.isfinite(last["test_loss"]):
        return ""
    return f"loss {last['test_loss']:.4g} after the last epoch; guessing has {guessing:.4g}"


@contextlib.contextmanager
def _damage_named(config: RunConfig, data_dir: Path | None) -> Iterator[None]:
    """Name the file of a TFDS set that is damaged: TensorFlow says only that one is."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "DataLossError":
            raise
        folder = Path(builders.find(config.dataset, data_dir).data_dir)
        lines = on_disk.damage(folder, data_dir) or [one_line(error)]
        raise InputError(
            f"{lines[0]}; `python -m benchmarks data verify` says how to mend it",
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
    """Time the prediction for one image, from the image in memory to the logits in memory."""
    image = np.zeros((1, *images.image_shape), np.float32)
    return median_ms(lambda: model.predict_on_batch(image), INFERENCES, INFERENCE_SECONDS)
