"""Does runs on this machine, one after the other, each in its own process."""

import contextlib
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.environment import Checked
from benchmarks.run import RunConfig
from benchmarks.store import schema
from benchmarks.store.csv_file import Row
from benchmarks.sweeps.place import Begun, Done, Event, Heard, RunResult, now
from benchmarks.sweeps.request import SweepRequest
from benchmarks.training.messages import Epoch, Finished, Progress


class Here:
    """The `Place` for one run at a time on this machine."""

    def __init__(self, request: SweepRequest) -> None:
        """Take the user's request."""
        self._request = request
        self._environment: Row = {}

    def check(self, configs: Sequence[RunConfig]) -> Checked:
        """Do `benchmarks.training.one_run.check_runs` in a separate process."""
        request = self._request
        messages = worker.run(
            "benchmarks.training.one_run:check_runs",
            *(configs, request.device, request.data_dir, request.manual_dir),
            backend=configs[0].backend,
            device=request.device,
            devices=configs[0].devices,
        )
        for message in messages:
            if isinstance(message, worker.Failure):
                raise message.as_input_error()
            checked: Checked = message
        self._environment = checked.environment
        return checked

    def do(self, configs: Sequence[RunConfig], folder: Path) -> Generator[Event, None, None]:
        """Do one run after the other."""
        for config in configs:
            yield from run_in_worker(
                ("benchmarks.training.one_run:train_model",),
                *(config, folder, self._request, self._environment),
            )

    def close(self) -> None:
        """Do nothing; there is nothing to close."""


def run_in_worker(
    function: tuple[Any, ...],
    config: RunConfig,
    folder: Path,
    request: SweepRequest,
    environment: Row,
) -> Generator[Event, None, None]:
    """Do one run in a separate process; if the caller closes this generator, end the run.

    Args:
        function: function of the worker, with its arguments before those of `one_run.train_model`.
        config: the run.
        folder: folder for its backup, its weights, and the log if it fails.
        request: the user's request.
        environment: the environment columns.
    """
    started_at, began = now(), time.monotonic()
    yield Begun(config)
    files = folder / config.run_id
    log = files.with_suffix(".log")
    log.unlink(missing_ok=True)
    messages = worker.run(
        *function,
        config,
        request.data_dir,
        files.with_suffix(".weights.h5") if request.save_weights else None,
        files.with_suffix(".backup"),
        backend=config.backend,
        device=config.device,
        devices=config.devices,
        log=log,
        timeout=request.timeout,
    )
    epochs: list[Row] = []
    measured: Row = {}
    with contextlib.closing(messages):
        for message in messages:
            match message:
                case Progress():
                    yield Heard(config, message)
                case Epoch(row=row):
                    epochs.append({"run_id": config.run_id, **row})
                    yield Heard(config, message)
                case Finished(row):
                    measured = row
                case worker.Failure(status, error):
                    measured = {"status": status, "error": error}
    measured["wall_seconds"] = measured.get("wall_seconds", 0) + time.monotonic() - began
    if measured["status"] in schema.RESULTS:
        log.unlink(missing_ok=True)  # the libraries' output is needed only after a failure
    yield Done(RunResult(config, started_at, measured, epochs, environment))
