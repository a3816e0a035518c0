"""The common part of `train` and `tune`: first checks, then a sweep of runs."""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.commands import checks
from benchmarks.errors import InputError
from benchmarks.models import check_name
from benchmarks.run import OptimizerSpec, RunConfig
from benchmarks.sweeps.request import SweepRequest
from benchmarks.training.processes import ProcessGroup

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from benchmarks.environment import Checked
    from benchmarks.sweeps.place import Place


def check_names(
    datasets: Sequence[str], models: Sequence[str], specs: Sequence[OptimizerSpec], backend: str
) -> None:
    """Raise an `InputError` if a name is wrong, as far as this can be seen without TensorFlow."""
    for name in models:
        check_name(name)
    checks.given_once(dataset=datasets, model=models, optimizer=map(str, specs))
    checks.installed(backend)


def check_options(
    schedule: str, warmup_steps: int, target_accuracy: float | None, stop_at_target: bool
) -> None:
    """Raise an `InputError` if options do not go together."""
    if warmup_steps and schedule == "reduce-on-plateau":
        raise InputError("not with reduce-on-plateau", warmup_steps=warmup_steps)
    if stop_at_target and target_accuracy is None:
        raise InputError("there is no target", stop_at_target=True, see=["target_accuracy"])


def request(
    where: Mapping[str, Any], backend: str, devices: int, processes: int, save_weights: bool = False
) -> SweepRequest:
    """Return the request of a sweep.

    Args:
        where: the options of `options.WHERE`.
        backend: the Keras backend.
        devices: number of devices of each run.
        processes: number of processes that train one model together.
        save_weights: whether the best weights are kept.

    Raises:
        InputError: some options do not go together.
    """
    asked = dict(where)
    elsewhere = {name: asked[name] for name in ("cluster", "parallel")}
    group = process_group(
        asked.pop("coordinator"), processes, asked.pop("process_id"), backend, **elsewhere
    )
    if None not in elsewhere.values():
        raise InputError(
            "only for this machine; give only one of the two", parallel=asked["parallel"]
        )
    return SweepRequest(**asked, devices=devices, save_weights=save_weights, group=group)


def process_group(
    coordinator: str | None,
    processes: int,
    process_id: int | None,
    backend: str,
    **elsewhere: object,
) -> ProcessGroup | None:
    """Return the processes that train together; None if there is only this one.

    `elsewhere` holds the options that give whole runs to workers. A worker cannot train together
    with other processes.
    """
    given = {
        "coordinator": coordinator,
        "process_id": process_id,
        "processes": processes if processes > 1 else None,
    }
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if coordinator is None or process_id is None or missing:
        name = next(name for name in given if name not in missing)
        raise InputError("needs the other options too", see=missing, **{name: given[name]})
    if backend != "jax":
        raise InputError(
            "several processes can train together only on jax, because Keras's fit runs neither "
            "under TensorFlow's MultiWorkerMirroredStrategy nor in several processes of torch",
            backend=backend,
        )
    for name, value in elsewhere.items():
        if value is not None:
            raise InputError(
                "its workers cannot train together", see=["coordinator"], **{name: value}
            )
    if process_id >= processes:
        raise InputError(f"must be from 0 to {processes - 1}", process_id=process_id)
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise InputError("expected HOST:PORT, such as 10.0.0.1:4321", coordinator=coordinator)
    return ProcessGroup(coordinator, processes, process_id)


def new_folder(command: str, output: Path | None, resume: bool) -> Path:
    """Return the folder for the reports; without `resume` it holds no report yet."""
    folder = output or checks.default_folder(command)
    if resume and output is None:
        raise InputError("name the folder to continue in", resume=True, see=["output"])
    if (folder / "runs.csv").exists() and not resume:
        raise InputError(
            "holds a report already; name a new folder, or continue in this one",
            output=folder,
            see=["resume"],
        )
    return folder


def follow(request: SweepRequest, group: ProcessGroup) -> int:
    """Train together with process 0 until it ends."""
    from benchmarks import printing
    from benchmarks.sweeps.follow import follow

    follow(request, group, printing.console())
    return 0


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A sweep that has passed its check and holds the lock of its folder."""

    place: "Place"
    checked: "Checked"
    folder: Path
    console: "Console"
    accept_changes: bool = False

    def as_found(self, config: RunConfig) -> RunConfig:
        """Return the configuration with the device and the digests from the check.

        If the folder has a result from an older version, which wrote no digests, then the
        configuration has no digests either.
        """
        config = dataclasses.replace(config, device=self.checked.device).identified({})
        return config if config.run_id in self._done else config.identified(self.checked.digests)

    @functools.cached_property
    def _done(self) -> set[str]:
        from benchmarks.sweeps import results

        return results.done(self.folder)

    def train(self, configs: Sequence[RunConfig]) -> "pd.DataFrame":
        """Do the runs that have no result in the folder; return the rows of all runs."""
        from benchmarks.environment import peer_versions, reader_versions
        from benchmarks.store.folder import open_folder
        from benchmarks.sweeps import results, sweep
        from benchmarks.sweeps.display import Display

        environment = self.checked.environment | {
            "readers": reader_versions(),
            "peers": peer_versions(),
        }
        if not self.accept_changes:
            results.check_unchanged(configs, self.folder)
        open_folder(self.folder, checks.command_line(), environment)
        to_do = results.unfinished(configs, self.folder)
        if len(to_do) < len(configs):
            done = len(configs) - len(to_do)
            self.console.print(f"Runs that have a result already: {done} of {len(configs)}.")
        try:
            with Display(self.console, len(to_do)) as display:
                sweep.run_all(self.place, to_do, self.folder, display)
        except (KeyboardInterrupt, ConnectionError):
            again = checks.command_to_resume(self.folder)
            print(f"The results so far are in {self.folder}. To go on: {again}", file=sys.stderr)
            raise
        runs = results.read_runs(self.folder)
        return runs[runs["run_id"].isin([config.run_id for config in configs])]


@contextlib.contextmanager
def sweep(
    request: SweepRequest, configs: Sequence[RunConfig], folder: Path, console: "Console"
) -> Iterator[Sweep]:
    """Check in seconds what would fail later; then lock `folder` for a sweep.

    Args:
        request: the user's request.
        configs: the runs that are known already; their device is ignored.
        folder: for the reports.
        console: to print on.
    """
    from benchmarks.store.folder import hold

    with _place(request, console) as place:
        console.print("Checking the device, the optimizers and the data ...")
        if request.group is not None:
            others = request.group.processes - 1
            console.print(f"Waiting for {others} more to join at {request.group.coordinator} ...")
        checked = place.check(configs)
        for note in checked.notes:
            console.print(f"Note: {note}.", markup=False, highlight=False, soft_wrap=True)
        with hold(folder):
            yield Sweep(place, checked, folder, console, request.accept_changes)
        place.close()


@contextlib.contextmanager
def _place(request: SweepRequest, console: "Console") -> "Iterator[Place]":
    """Yield the place where the user wants the runs to be done."""
    if request.group is not None:
        from benchmarks.sweeps.group import Group

        yield Group(request, request.group)
        return
    if request.cluster is None and request.parallel is None:
        from benchmarks.sweeps.here import Here

        yield Here(request)
        return
    # Imported here, because Dask takes a second to load.
    from benchmarks.sweeps import cluster, local
    from benchmarks.sweeps.on_cluster import OnCluster

    address = str(request.cluster)
    try:
        with contextlib.ExitStack() as stack:
            if request.parallel is not None:
                workers = local.workers(request.parallel, request.device, request.devices)
                address = stack.enter_context(workers)
            say = functools.partial(console.print, markup=False, highlight=False, soft_wrap=True)
            yield OnCluster(stack.enter_context(cluster.at(address, say)), request)
    except ConnectionError as error:
        raise InputError(str(error), cluster=address) from error
