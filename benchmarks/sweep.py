"""Many runs, one after the other, into one folder of reports."""

import dataclasses
import datetime
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import table, worker
from benchmarks.config import InputError, RunConfig
from benchmarks.events import Checked, Epoch, Finished, Progress
from benchmarks.table import Row
from benchmarks.terminal import Display


def check(
    specs: Sequence[str],
    datasets: Sequence[str],
    batch_size: int,
    backend: str,
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
) -> Checked:
    """Find in seconds what would fail in every run, and prepare the data sets.

    Raises:
        InputError: something would.
    """
    checked: Checked | None = None
    messages = worker.run(
        "benchmarks.train:check",
        specs,
        datasets,
        batch_size,
        backend,
        device,
        data_dir,
        manual_dir,
        backend=backend,
        device=device,
    )
    for message in messages:
        if isinstance(message, worker.Failure):
            raise InputError(message.error)
        checked = message
    assert checked is not None, "a worker ends with its result or with a Failure"
    return checked


def open_folder(folder: Path, command: str, environment: Row) -> None:
    """Make the folder of a report, and put into it the command and the environment.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "command.txt").write_text(command + "\n")
        (folder / "environment.json").write_text(json.dumps(environment, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"--output {str(folder)!r}: {error.strerror}") from error


def run_all(
    configs: Sequence[RunConfig],
    folder: Path,
    data_dir: Path | None,
    environment: Row,
    display: Display,
) -> None:
    """Run every configuration in a process of its own; append to runs.csv and epochs.csv.

    A run's rows are written when it has ended, those of its epochs first: a
    run that is in runs.csv is complete in both.
    """
    for config in configs:
        started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        log = folder / f"{config.run_id}.log"
        messages = worker.run(
            "benchmarks.train:run",
            config,
            data_dir,
            backend=config.backend,
            device=config.device,
            log=log,
        )
        display.start(config)
        epochs: list[Row] = []
        measured: Row = {}
        for message in messages:
            match message:
                case Progress():
                    display.progress(message)
                case Epoch(row):
                    epochs.append({"run_id": config.run_id, **row})
                    display.epoch(row)
                case Finished(row):
                    measured = row
                case worker.Failure():
                    measured = dataclasses.asdict(message)
        if measured["status"] in ("ok", "diverged"):
            log.unlink()  # what the libraries printed is of use only to explain a failure
        run = {
            "run_id": config.run_id,
            **dataclasses.asdict(config),
            "jit_compile": None,  # the column holds what it came to, which the run measures
            "schedule": "constant",
            **environment,
            "started_at": started_at,
            **measured,
        }
        table.append(folder / "epochs.csv", table.EPOCHS, epochs)
        table.append(folder / "runs.csv", table.RUNS, [run])
        display.finish(run)


def configurations(
    datasets: Iterable[str],
    models: Iterable[str],
    optimizers: Iterable[tuple[str, float]],
    seeds: int,
    **fixed: object,
) -> list[RunConfig]:
    """Every combination, one seed after the other.

    Within a seed the optimizers follow each other, so that what disturbs the
    machine for a while disturbs them all alike.

    Args:
        datasets: names.
        models: names.
        optimizers: spelling and learning rate of each.
        seeds: how many; they count from 0.
        **fixed: the other fields of `RunConfig`, the same for all.
    """
    optimizers = list(optimizers)
    return [
        RunConfig(
            dataset=dataset,
            model=model,
            optimizer=optimizer,
            learning_rate=learning_rate,
            seed=seed,
            **fixed,  # type: ignore[arg-type]
        )
        for dataset, model, seed, (optimizer, learning_rate) in itertools.product(
            datasets, models, range(seeds), optimizers
        )
    ]
