"""Does many runs on the workers of a cluster, one at a time on each worker."""

import contextlib
import dataclasses
import time
import uuid
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.environment import Checked
from benchmarks.errors import InputError, one_line
from benchmarks.run import RunConfig
from benchmarks.store import schema
from benchmarks.sweeps import on_worker, results
from benchmarks.sweeps.cluster import TICK_SECONDS, Cluster, LostError
from benchmarks.sweeps.pairing import Group, Pairing
from benchmarks.sweeps.place import Begun, Done, Event, Heard, Lost, RunResult, failed
from benchmarks.sweeps.request import SweepRequest
from benchmarks.training.messages import Epoch

MOST_LOSSES = 3
"""If this many workers died during a run, the run has failed: it may have killed them."""


class OnCluster:
    """The `Place` for runs on the workers of a Dask scheduler. A lost run is done again."""

    def __init__(self, cluster: Cluster, request: SweepRequest) -> None:
        """Take the workers, and the user's request."""
        self._cluster = cluster
        self._request = dataclasses.replace(
            request,
            data_dir=request.data_dir and request.data_dir.absolute(),
            manual_dir=request.manual_dir and request.manual_dir.absolute(),
        )

    def check(self, configs: Sequence[RunConfig]) -> Checked:
        """Do the check of `Here` on every worker."""
        return self._cluster.check(configs, self._request)

    def do(self, configs: Sequence[RunConfig], folder: Path) -> Generator[Event, None, None]:
        """Give each idle worker a run, until all are done."""
        work = _Work(self._cluster, self._request, configs, folder)
        while work.left:
            there = self._cluster.workers()
            work.collect(there)
            yield from work.take_events()
            work.hand_out(there)
            yield from work.take_events()
            time.sleep(TICK_SECONDS)

    def close(self) -> None:
        """Do nothing; the user ends the workers."""


@dataclasses.dataclass
class _Job:
    """The work of a worker: a run, or the check before its first run."""

    future: Any
    config: RunConfig | None = None
    runs_on_host: int = 1
    """The largest number of workers on its host since it began."""


class _Work:
    def __init__(
        self, cluster: Cluster, request: SweepRequest, configs: Sequence[RunConfig], folder: Path
    ) -> None:
        self.left = len(configs)
        """The number of runs that are not done yet."""
        self._cluster = cluster
        self._request = request
        self._configs = {config.run_id: config for config in configs}
        self._waiting = Pairing(configs, _hosts(folder))
        self._events: list[Event] = []
        self._jobs: dict[str, _Job] = {}
        """The work of each worker, by its address."""
        self._losses: Counter[RunConfig] = Counter()
        self._refused: set[str] = set()
        """The workers that started later and failed the check."""
        self._told: deque[Any] = deque()
        """The messages of the workers; Dask appends them in its own thread."""
        self._topic = f"epochs-{uuid.uuid4()}"
        cluster.client.subscribe_topic(self._topic, self._told.append)

    def take_events(self) -> list[Event]:
        """Return the events since the last call."""
        self._hear()
        events, self._events = self._events, []
        return events

    def _hear(self) -> None:
        while self._told:
            _, (run_id, row) = self._told.popleft()
            self._events.append(Heard(self._configs[run_id], Epoch(row)))

    def collect(self, there: dict[str, str]) -> None:
        """Take the finished work, and notice workers that are gone."""
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

    def hand_out(self, there: dict[str, str]) -> None:
        """Give work to each idle worker."""
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
                self._events.append(Begun(config))
                arguments = config, self._request, self._topic
                future = self._cluster.submit(address, on_worker.run_on_worker, *arguments)
                self._jobs[address] = _Job(future, config, workers_on[host[address]])

    @contextlib.contextmanager
    def _refusing(self, address: str) -> Iterator[None]:
        """Leave out a worker that started later and fails the check; repeat a lost check."""
        try:
            with contextlib.suppress(LostError):
                yield
        except InputError as error:
            self._refused.add(address)
            self._cluster.say(f"Left out: {error}")

    def _take_run(self, address: str, job: _Job, config: RunConfig) -> None:
        try:
            result = self._cluster.take(job.future)
        except LostError:
            self._lose(address, job, config)
            return
        except Exception as error:  # an error of the worker; a run's error is in its row
            result = failed(config, one_line(error))
        self._hear()
        self._finish(address, job, result)

    def _lose(self, address: str, job: _Job, config: RunConfig) -> None:
        self._losses[config] += 1
        if self._losses[config] < MOST_LOSSES:
            self._events.append(Lost(config, f"lost with worker {address}"))
            self._waiting.give_back(config)
        else:
            result = failed(config, f"{MOST_LOSSES} workers died while they did it")
            self._finish(address, job, result)

    def _finish(self, address: str, job: _Job, result: RunResult) -> None:
        where = self._cluster.checked[address].environment
        self._events.append(
            Done(
                dataclasses.replace(
                    result,
                    environment=where,
                    runs_on_host=job.runs_on_host,
                    files=result.files or {},
                )
            )
        )
        self.left -= 1


def _hosts(folder: Path) -> dict[Group, str]:
    """Return the hosts of the runs that have a result in `folder`."""
    runs = results.read_runs(folder)
    runs = runs[runs["status"].isin(schema.RESULTS) & runs["host"].notna()]
    groups = zip(runs["dataset"], runs["model"], runs["seed"], strict=True)
    return dict(zip(groups, runs["host"], strict=True))
