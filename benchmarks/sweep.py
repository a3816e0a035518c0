"""Many runs, one after the other, into one folder of reports."""

import contextlib
import dataclasses
import datetime
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import filelock
import pandas as pd

from benchmarks import table, worker
from benchmarks.config import InputError, RunConfig
from benchmarks.events import Checked, Epoch, Finished, Progress
from benchmarks.table import Row
from benchmarks.terminal import Display


def check(
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
) -> Checked:
    """Find in seconds what would fail in every run, and prepare the data sets.

    The arguments are those of `benchmarks.train.check`.

    Raises:
        InputError: something would.
    """
    checked: Checked | None = None
    messages = worker.run(
        "benchmarks.train:check",
        configs,
        device,
        data_dir,
        manual_dir,
        backend=configs[0].backend,
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

    A folder that is there keeps its environment, and gets another line of `command.txt`.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "command.txt").open("a") as file:
            file.write(command + "\n")
        machine = folder / "environment.json"
        if not machine.exists():
            machine.write_text(json.dumps(environment, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"--output {str(folder)!r}: {error.strerror}") from error


def read_runs(folder: Path) -> pd.DataFrame:
    """Read the runs in `folder`; none, if none has ended yet."""
    path = folder / "runs.csv"
    return table.read(path, table.RUNS) if path.exists() else pd.DataFrame(columns=[*table.RUNS])


def unfinished(configs: Iterable[RunConfig], folder: Path) -> list[RunConfig]:
    """Return those without a result in `folder`: not run yet, interrupted, or failed."""
    runs = read_runs(folder)
    done = set(runs["run_id"][runs["status"].isin(table.RESULTS)])
    return [config for config in configs if config.run_id not in done]


def run_all(
    configs: Sequence[RunConfig],
    folder: Path,
    data_dir: Path | None,
    environment: Row,
    display: Display,
    timeout: float | None = None,
    save_weights: bool = False,
) -> None:
    """Run every configuration in a process of its own; append to runs.csv and epochs.csv.

    A run's rows are written when it has ended, those of its epochs first: a
    run that is in runs.csv is complete in both. Rows of it that are there from
    before, of a failure or of a sweep that was killed in between, are removed
    when the run begins.

    Another sweep may write into the same folder at the same time: a run is
    done by the one that claims it first.
    """
    before = _starts(folder)
    for config in configs:
        with _claim(folder / f"{config.run_id}.lock") as claimed:
            if not claimed:
                display.leave(config)
                continue
            if _starts(folder).get(config.run_id) != before.get(config.run_id):
                display.leave(config)
                continue
            for name in ("runs.csv", "epochs.csv"):
                table.remove(folder / name, [config.run_id])
            display.start(config)
            run, epochs = _run(
                config, folder, data_dir, environment, display, timeout, save_weights
            )
            table.append(folder / "epochs.csv", table.EPOCHS, epochs)
            table.append(folder / "runs.csv", table.RUNS, [run])
            display.finish(run)


def _run(
    config: RunConfig,
    folder: Path,
    data_dir: Path | None,
    environment: Row,
    display: Display,
    timeout: float | None,
    save_weights: bool,
) -> tuple[Row, list[Row]]:
    """Do one run; return its row of runs.csv and its rows of epochs.csv."""
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    log = folder / f"{config.run_id}.log"
    log.unlink(missing_ok=True)
    messages = worker.run(
        "benchmarks.train:run",
        config,
        data_dir,
        folder / f"{config.run_id}.weights.h5" if save_weights else None,
        backend=config.backend,
        device=config.device,
        log=log,
        timeout=timeout,
    )
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
    if measured["status"] in table.RESULTS:
        log.unlink(missing_ok=True)  # what the libraries printed only serves to explain a failure
    run = {
        "run_id": config.run_id,
        **{k: v for k, v in dataclasses.asdict(config).items() if k in table.RUNS},
        "jit_compile": None,  # the column holds what it came to, which the run measures
        **environment,
        "started_at": started_at,
        **measured,
    }
    return run, epochs


def _starts(folder: Path) -> dict[str, str]:
    """Return when each run began whose row is in `folder`."""
    runs = read_runs(folder)
    return dict(zip(runs["run_id"], runs["started_at"], strict=True))


@contextlib.contextmanager
def _claim(path: Path) -> Iterator[bool]:
    """Hold `path` for this process, and say whether no other holds it.

    The claim ends with the process, however that ends.
    """
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        lock.release()


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
