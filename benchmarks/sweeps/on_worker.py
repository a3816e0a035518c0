"""What a Dask worker does for a sweep: the check, and one run after the other.

The scheduler and the workers import this module, so they run in a clone of the project.
"""

import multiprocessing
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import distributed
from distributed.core import Status

from benchmarks import environment
from benchmarks.environment import Checked
from benchmarks.errors import InputError
from benchmarks.run import RunConfig
from benchmarks.store.csv_file import Row
from benchmarks.sweeps import here
from benchmarks.training.messages import Epoch, Progress

Outcome = tuple[Row, list[Row], dict[str, bytes]]
"""A row of runs.csv, without the environment; rows of epochs.csv; the files of the run by name."""

_ONE_RUN = threading.Lock()
"""A run whose sweep was interrupted is not over at once: the next one waits for its end."""


def check(
    expected: Mapping[str, str | None],
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
) -> Checked:
    """Find what would fail in every run on this worker, and prepare the data sets.

    Args:
        expected: the versions and the commit of the sweep; one that is not known is None.
        configs: the runs.
        device: the one asked for.
        data_dir: where prepared data sets lie.
        manual_dir: folder with original files.

    Raises:
        InputError: something would.
    """
    if multiprocessing.current_process().daemon:
        raise InputError(
            "Dask's nanny lets it start no process; start it with `dask worker --no-nanny`"
        )
    found = {**environment.versions(configs[0].backend), **environment.git_state()}
    others = [
        f"{name} {found[name] or 'missing'} instead of {version}"
        for name, version in expected.items()
        if version is not None and found[name] != version
    ]
    if others:
        raise InputError(f"has {', '.join(others)}")
    return here.check(configs, device, data_dir, manual_dir)


def run(
    config: RunConfig,
    data_dir: Path | None,
    topic: str,
    timeout: float | None,
    save_weights: bool,
) -> Outcome:
    """Do one run in a folder that is gone afterwards; log each epoch as an event of `topic`."""
    worker = distributed.get_worker()
    key = worker.get_current_task()

    def tell(message: Progress | Epoch) -> None:
        task = worker.state.tasks.get(key)
        is_wanted = task is not None and task.state == "executing"
        if not is_wanted or worker.status in (Status.closing, Status.closed, Status.failed):
            raise InterruptedError("nobody waits for this run any more")
        if isinstance(message, Epoch):
            worker.log_event(topic, [config.run_id, message.row])

    # Dask removes what a worker that was killed has left in its folder.
    with _ONE_RUN, tempfile.TemporaryDirectory(dir=worker.local_directory) as name:
        folder = Path(name)
        row, epochs = here.run(config, folder, data_dir, tell, timeout, save_weights)
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return row, epochs, files
