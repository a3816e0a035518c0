"""The work of a Dask worker for a sweep: the check, and one run after the other.

The workers import this module, so they run in a clone of the project.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dask
import distributed
from distributed.core import Status

from benchmarks import environment
from benchmarks.environment import Checked
from benchmarks.errors import InputError
from benchmarks.run import RunConfig
from benchmarks.sweeps.here import Here
from benchmarks.sweeps.place import Done, Heard, RunResult
from benchmarks.sweeps.request import SweepRequest
from benchmarks.training.messages import Epoch
from benchmarks.worker import start

_ONE_RUN = threading.Lock()
"""The lock that a run holds. After an interrupted sweep, the next run waits until that run ends."""


@dataclasses.dataclass(frozen=True)
class Call:
    """A function call; unpickling this object makes the call, instead of a copy of the object.

    Unpickling returns bytes, the pickle of (result, None) or of (None, exception). So only bytes
    pass between the sweep and the worker.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Make the call when this is unpickled."""
        return _outcome, (self.function, self.arguments)


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    try:
        return pickle.dumps((function(*arguments), None))
    except Exception as error:
        return pickle.dumps((None, error))


def check_on_worker(
    expected: Mapping[str, str | None], configs: Sequence[RunConfig], request: SweepRequest
) -> Checked:
    """Find errors that every run on this worker would have, and prepare the data sets.

    Args:
        expected: the versions and the commit of the sweep; None if unknown.
        configs: the runs.
        request: the user's request.

    Raises:
        InputError: every run would fail.
    """
    spawns = not start.CAN_FORK or configs[0].backend == "torch"
    if spawns and multiprocessing.current_process().daemon:
        raise InputError(
            "under Dask's nanny it can only fork processes, which is not possible here; start it "
            "with `dask worker --no-nanny`"
        )
    _give_threads_back()
    found = {**environment.versions(configs[0].backend), **environment.git_state()}
    others = [
        f"{name} {found[name] or 'missing'} instead of {version}"
        for name, version in expected.items()
        if version is not None and found[name] != version
    ]
    if others:
        raise InputError(f"has {', '.join(others)}")
    return Here(request).check(configs)


def run_on_worker(config: RunConfig, request: SweepRequest, topic: str) -> RunResult:
    """Do one run in a temporary folder; log each epoch as an event of `topic`."""
    worker = distributed.get_worker()
    key = worker.get_current_task()
    # If the worker is killed, Dask removes its folder.
    with (
        _ONE_RUN,
        tempfile.TemporaryDirectory(dir=worker.local_directory) as name,
        contextlib.closing(Here(request).do([config], Path(name))) as events,
    ):
        for event in events:
            task = worker.state.tasks.get(key)
            is_wanted = task is not None and task.state == "executing"
            if not is_wanted or worker.status in (Status.closing, Status.closed, Status.failed):
                raise InterruptedError("the sweep does not wait for this run any more")
            match event:
                case Heard(_, Epoch(row=row)):
                    worker.log_event(topic, [config.run_id, row])
                case Done(result):
                    pass
        files = {path.name: path.read_bytes() for path in Path(name).iterdir() if path.is_file()}
    return dataclasses.replace(result, files=files)


def _give_threads_back() -> None:
    """Remove the nanny's limit of one thread for NumPy, because a run has the whole worker."""
    for name, value in dask.config.get("distributed.nanny.pre-spawn-environ", {}).items():
        if os.environ.get(name) == str(value):
            del os.environ[name]
