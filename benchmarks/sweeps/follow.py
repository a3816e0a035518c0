"""A process that trains together with process 0, on another machine; it writes no report."""

import os
from pathlib import Path

from rich.console import Console

from benchmarks import worker
from benchmarks.errors import InputError
from benchmarks.sweeps.request import SweepRequest
from benchmarks.training.messages import Ended, Finished, Told
from benchmarks.training.processes import ProcessGroup


def follow(request: SweepRequest, group: ProcessGroup, console: Console) -> None:
    """Do what process 0 says, until it says that all is done.

    Raises:
        InputError: something cannot be done here, or another process is missing or has ended.
    """
    console.print(f"Process {group.process_id} follows process 0 at {group.coordinator}.")
    run = "before the first run"
    ended = False
    while not ended:
        messages = worker.run(
            "benchmarks.training.together:follow",
            *(group, request.device, request.data_dir, request.manual_dir),
            backend="jax",
            device=request.device,
            devices=request.devices,
            log=Path(os.devnull),  # process 0 keeps the libraries' output
        )
        for message in messages:
            match message:
                case Told(config):
                    run = str(config)
                    console.print(run, markup=False, highlight=False)
                case Finished(row):
                    console.print(f"{run}: {row['status']}", markup=False, highlight=False)
                case Ended():
                    ended = True  # but the worker has still to end
                case worker.Failure():
                    if message.input_error is not None:
                        raise message.input_error
                    raise InputError(
                        f"process {group.process_id}, {run}: {message.error}. When a process dies, "
                        "all stop. Start all of them again, process 0 with --resume; they "
                        "continue from the last backup"
                    )
