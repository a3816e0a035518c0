"""Processes on several machines that train one model together; this one leads them."""

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.environment import Checked
from benchmarks.errors import InputError
from benchmarks.run import RunConfig
from benchmarks.store import schema
from benchmarks.store.csv_file import Row
from benchmarks.sweeps import here
from benchmarks.sweeps.place import Done, Event
from benchmarks.sweeps.request import SweepRequest
from benchmarks.training import processes
from benchmarks.training.processes import ProcessGroup


class Group:
    """The `Place` of process 0; the other processes do the same work."""

    def __init__(self, request: SweepRequest, group: ProcessGroup) -> None:
        """Take the user's request, and the processes."""
        self._request = request
        self._group = group
        self._device = request.device
        self._environment: Row = {}

    def check(self, configs: Sequence[RunConfig]) -> Checked:
        """Do `benchmarks.training.together.check_together` in all processes."""
        request = self._request
        arguments = configs, request.device, request.data_dir, request.manual_dir
        for message in self._work("check_together", *arguments):
            if isinstance(message, worker.Failure):
                raise message.input_error or InputError(  # JAX aborts after its time limit
                    f"not all {self._group.processes} processes connected within "
                    f"{processes.CONNECT_SECONDS} seconds, or one of them ended: {message.error}",
                    coordinator=self._group.coordinator,
                )
            checked: Checked = message
        self._device, self._environment = checked.device, checked.environment
        return checked

    def do(self, configs: Sequence[RunConfig], folder: Path) -> Generator[Event, None, None]:
        """Do one run after the other; the first failure ends the sweep."""
        function = "benchmarks.training.together:train_together", self._group
        for config in configs:
            for event in here.run_in_worker(
                function, config, folder, self._request, self._environment
            ):
                yield event
                if isinstance(event, Done) and event.result.status not in schema.RESULTS:
                    raise InputError(
                        f"{config}: {event.result.measured['error']}. When a process dies, all "
                        "stop. Start all of them again, this one with --resume; they continue "
                        "from the last backup"
                    )

    def close(self) -> None:
        """Tell the other processes that no more runs come."""
        for message in self._work("end"):
            raise message.as_input_error()

    def _work(self, what: str, *arguments: Any) -> Any:
        return worker.run(
            f"benchmarks.training.together:{what}",
            self._group,
            *arguments,
            backend="jax",
            device=self._device,
            devices=self._request.devices,
            log=Path(os.devnull),  # JAX prints much about connections
        )
