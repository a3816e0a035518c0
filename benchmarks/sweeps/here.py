"""A run, or the check before all runs, on this machine, in a process of its own."""

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.environment import Checked
from benchmarks.errors import InputError
from benchmarks.run import RunConfig
from benchmarks.store import schema
from benchmarks.store.csv_file import Row
from benchmarks.training import processes
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
            if group is not None and message.input_error is None:
                raise InputError(  # JAX aborts when it has waited in vain
                    f"not all {group.processes} processes were there within "
                    f"{processes.CONNECT_SECONDS} seconds, or one of them ended: {message.error}",
                    coordinator=group.coordinator,
                )
            raise message.as_input_error()
        checked = message
    assert checked is not None, "a worker ends with its result or with a Failure"
    return checked


def run(
    config: RunConfig,
    folder: Path,
    data_dir: Path | None,
    tell: Callable[[Progress | Epoch], None],
    timeout: float | None = None,
    save_weights: bool = False,
    group: ProcessGroup | None = None,
) -> tuple[Row, list[Row]]:
    """Do one run.

    Args:
        config: the run.
        folder: for its files: backup, weights, and the log if it fails.
        data_dir: where prepared data sets lie.
        tell: hears how it goes. If it raises, the run is ended.
        timeout: seconds that the run may take.
        save_weights: whether to keep the best weights.
        group: the processes that train together, if several do.

    Returns:
        Its row of runs.csv, without the environment, and its rows of epochs.csv.
    """
    begun = _begun(config)
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
    with contextlib.closing(messages):
        for message in messages:
            match message:
                case Progress():
                    tell(message)
                case Epoch(row):
                    epochs.append({"run_id": config.run_id, **row})
                    tell(message)
                case Finished(row):
                    measured = row
                case worker.Failure(status, error):
                    measured = {"status": status, "error": error}
    if measured["status"] in schema.RESULTS:
        log.unlink(missing_ok=True)  # what the libraries printed only serves to explain a failure
    return {**begun, **measured}, epochs


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


def _led(what: str, group: ProcessGroup | None) -> tuple[Any, ...]:
    """Return the function for a worker, and its first argument if processes train together."""
    if group is None:
        return (f"benchmarks.training.one_run:{what}",)
    return f"benchmarks.training.together:{what}", group


def failed(config: RunConfig, error: str) -> Row:
    """Return the row of a run that could not be done, for a reason that is not its own."""
    return {**_begun(config), "status": "error", "error": error}


def _begun(config: RunConfig) -> Row:
    return {
        "run_id": config.run_id,
        **dataclasses.asdict(config),
        "jit_compile": None,  # the column holds what it came to, which the run measures
        "started_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
