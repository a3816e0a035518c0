"""Many runs on the workers of a cluster, one at a time on each."""

import contextlib
import dataclasses
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import InputError, one_line
from benchmarks.run import RunConfig
from benchmarks.store import schema
from benchmarks.sweeps import here, on_worker, results
from benchmarks.sweeps.cluster import TICK_SECONDS, Cluster, LostError, absolute
from benchmarks.sweeps.display import Display
from benchmarks.sweeps.pairing import Group, Pairing
from benchmarks.sweeps.writer import Writer
from benchmarks.training.messages import Epoch

MOST_LOSSES = 3
"""A run with which so many workers died has failed: it may be what kills them."""


def run_all(
    cluster: Cluster,
    configs: Sequence[RunConfig],
    folder: Path,
    data_dir: Path | None,
    display: Display,
    timeout: float | None = None,
    save_weights: bool = False,
) -> None:
    """Do every run; write each when it has ended. A run whose worker dies is done again.

    Raises:
        ConnectionError: the scheduler is gone.
    """
    sweep = _Sweep(cluster, configs, folder, display)
    topic = f"epochs-{uuid.uuid4()}"
    cluster.client.subscribe_topic(topic, sweep.events.append)
    options = absolute(data_dir), topic, timeout, save_weights
    while sweep.left:
        there = cluster.workers()
        sweep.show_epochs()
        sweep.collect(there)
        sweep.hand_out(there, options)
        time.sleep(TICK_SECONDS)


@dataclasses.dataclass
class _Job:
    """What a worker is at work on: a run, or the check before its first one."""

    future: Any
    config: RunConfig | None = None
    runs_on_host: int = 1
    """The most workers that its host has had since it began."""


class _Sweep:
    def __init__(
        self, cluster: Cluster, configs: Sequence[RunConfig], folder: Path, display: Display
    ) -> None:
        self.left = len(configs)
        """Runs that are not written yet."""
        self.events: deque[Any] = deque()
        """What the workers have told since `show_epochs`; Dask appends from its own thread."""
        self._cluster = cluster
        self._configs = {config.run_id: config for config in configs}
        self._waiting = Pairing(configs, _hosts(folder))
        self._writer = Writer(folder)
        self._display = display
        self._jobs: dict[str, _Job] = {}
        """Address of a worker to what it does."""
        self._losses: Counter[RunConfig] = Counter()
        self._refused: set[str] = set()
        """Workers that came later and are not fit."""

    def show_epochs(self) -> None:
        while self.events:
            _, (run_id, row) = self.events.popleft()
            self._display.tell(self._configs[run_id], Epoch(row))

    def collect(self, there: dict[str, str]) -> None:
        """Take what the workers have finished, and notice those that are gone."""
        for address, job in list(self._jobs.items()):
            is_gone = address not in there
            if not is_gone and not job.future.done():
                continue
            del self._jobs[address]
            if job.config is None:
                if not is_gone:
                    with self._refusing(address):
                        self._cluster.take_check(address, job.future)
            elif is_gone:
                job.future.cancel()
                self._lose(address, job, job.config)
            else:
                self._take_run(address, job, job.config)

    def hand_out(self, there: dict[str, str], options: tuple[Any, ...]) -> None:
        """Give each worker that is idle something to do."""
        checked = self._cluster.checked
        host = {a: checked[a].environment["host"] for a in there if a in checked}
        workers_on = Counter(host.values())
        for address, job in self._jobs.items():
            job.runs_on_host = max(job.runs_on_host, workers_on[host.get(address)])
        for address, status in there.items():
            if address in self._jobs or address in self._refused or status != "running":
                continue
            if address not in checked:
                with self._refusing(address):
                    self._jobs[address] = _Job(self._cluster.submit_check(address))
                continue
            config = self._waiting.take(host[address], workers_on)
            if config is not None:
                self._display.start(config)
                future = self._cluster.submit(address, on_worker.run, config, *options)
                self._jobs[address] = _Job(future, config, workers_on[host[address]])

    @contextlib.contextmanager
    def _refusing(self, address: str) -> Iterator[None]:
        """Leave out a worker that came later and is not fit; a check that was lost comes again."""
        try:
            with contextlib.suppress(LostError):
                yield
        except InputError as error:
            self._refused.add(address)
            self._cluster.say(f"Left out: {error}")

    def _take_run(self, address: str, job: _Job, config: RunConfig) -> None:
        try:
            row, epochs, files = self._cluster.take(job.future)
        except LostError:
            self._lose(address, job, config)
            return
        except Exception as error:  # of the worker itself: that of a run is in its row
            row, epochs, files = here.failed(config, one_line(error)), [], {}
        self.show_epochs()
        self._finish(address, job, config, (row, epochs, files))

    def _lose(self, address: str, job: _Job, config: RunConfig) -> None:
        self._losses[config] += 1
        if self._losses[config] < MOST_LOSSES:
            self._display.again(config, f"lost with worker {address}")
            self._waiting.give_back(config)
        else:
            row = here.failed(config, f"{MOST_LOSSES} workers died while they did it")
            self._finish(address, job, config, (row, [], {}))

    def _finish(
        self, address: str, job: _Job, config: RunConfig, outcome: on_worker.Outcome
    ) -> None:
        row, epochs, files = outcome
        where = self._cluster.checked[address].environment
        self._writer.save(config.run_id, files)
        self._writer.write({**row, **where, "runs_on_host": job.runs_on_host}, epochs)
        self._display.finish(config, row)
        self.left -= 1


def _hosts(folder: Path) -> dict[Group, str]:
    """Return where the runs that have a result in `folder` were done."""
    runs = results.read_runs(folder)
    runs = runs[runs["status"].isin(schema.RESULTS) & runs["host"].notna()]
    groups = zip(runs["dataset"], runs["model"], runs["seed"], strict=True)
    return dict(zip(groups, runs["host"], strict=True))
