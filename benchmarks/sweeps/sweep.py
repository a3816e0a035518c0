"""Many runs, one after the other, into one folder of reports."""

import dataclasses
import datetime
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.environment import Checked
from benchmarks.errors import InputError
from benchmarks.reports import csv_file, schema
from benchmarks.reports.csv_file import Row
from benchmarks.run import RunConfig
from benchmarks.sweeps.display import Display
from benchmarks.sweeps.results import claim
from benchmarks.training.messages import Epoch, Finished, Progress
from benchmarks.training.processes import ProcessGroup


def check(
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    group: ProcessGroup | None = None,
) -> Checked:
    """Find in seconds what would fail in every run, and prepare the data sets.

    The arguments are those of `benchmarks.training.one_run.check`, and the processes that train
    together, if several do.

    Raises:
        InputError: something would.
    """
    checked: Checked | None = None
    messages = worker.run(
        *_led("check", group),
        configs,
        device,
        data_dir,
        manual_dir,
        backend=configs[0].backend,
        device=device,
        devices=configs[0].devices,
        log=None if group is None else Path(os.devnull),  # what connects them is talkative
    )
    for message in messages:
        if isinstance(message, worker.Failure):
            raise message.as_input_error()
        checked = message
    assert checked is not None, "a worker ends with its result or with a Failure"
    return checked


def run_all(
    configs: Sequence[RunConfig],
    folder: Path,
    data_dir: Path | None,
    environment: Row,
    display: Display,
    timeout: float | None = None,
    save_weights: bool = False,
    group: ProcessGroup | None = None,
) -> None:
    """Run every configuration in a process of its own; append to runs.csv and epochs.csv.

    A run's rows are written when it has ended, those of its epochs first: a
    run that is in runs.csv is complete in both. Rows of it that are there from
    before, of a failure or of a sweep that was killed in between, are removed
    when the run begins.

    Another sweep may write into the same folder at the same time: a run is
    done by the one that claims it first.
    """
    with (
        csv_file.SeenRows(folder / "runs.csv") as runs,
        csv_file.SeenRows(folder / "epochs.csv") as epochs,
    ):
        before = dict(runs.last_cells())  # run_id to started_at
        for config in configs:
            with claim(folder / f"{config.run_id}.lock") as claimed:
                is_new = runs.last_cells().get(config.run_id) == before.get(config.run_id)
                if not claimed or not is_new:
                    display.leave(config)
                    continue
                for seen in (runs, epochs):
                    if config.run_id in seen.last_cells():
                        csv_file.remove(seen.path, [config.run_id])
                display.start(config)
                row, epoch_rows = _run(
                    config, folder, data_dir, environment, display, timeout, save_weights, group
                )
                csv_file.append(epochs.path, schema.EPOCHS, epoch_rows)
                csv_file.append(runs.path, schema.RUNS, [row])
                if row["status"] in schema.RESULTS:
                    shutil.rmtree(folder / f"{config.run_id}.backup", ignore_errors=True)
                display.finish(row)
                if group is not None and row["status"] not in schema.RESULTS:
                    raise InputError(
                        f"{config}: {row['error']}. When one of the processes dies, all stop. "
                        "Start all of them again, this one with --resume: they go on from the "
                        "last backup"
                    )


def end(group: ProcessGroup, device: str, devices: int) -> None:
    """Tell the processes that train together with this one that no more runs come."""
    messages = worker.run(
        "benchmarks.training.together:end",
        group,
        backend="jax",
        device=device,
        devices=devices,
        log=Path(os.devnull),
    )
    for message in messages:
        raise message.as_input_error()


def _run(
    config: RunConfig,
    folder: Path,
    data_dir: Path | None,
    environment: Row,
    display: Display,
    timeout: float | None,
    save_weights: bool,
    group: ProcessGroup | None,
) -> tuple[Row, list[Row]]:
    """Do one run; return its row of runs.csv and its rows of epochs.csv."""
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    log = folder / f"{config.run_id}.log"
    log.unlink(missing_ok=True)
    messages = worker.run(
        *_led("run", group),
        config,
        data_dir,
        folder / f"{config.run_id}.weights.h5" if save_weights else None,
        folder / f"{config.run_id}.backup",
        backend=config.backend,
        device=config.device,
        devices=config.devices,
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
            case worker.Failure(status, error):
                measured = {"status": status, "error": error}
    if measured["status"] in schema.RESULTS:
        log.unlink(missing_ok=True)  # what the libraries printed only serves to explain a failure
    run = {
        "run_id": config.run_id,
        **dataclasses.asdict(config),
        "jit_compile": None,  # the column holds what it came to, which the run measures
        **environment,
        "started_at": started_at,
        **measured,
    }
    return run, epochs


def _led(what: str, group: ProcessGroup | None) -> tuple[Any, ...]:
    """Return the function for a worker, and its first argument if processes train together."""
    if group is None:
        return (f"benchmarks.training.one_run:{what}",)
    return f"benchmarks.training.together:{what}", group
