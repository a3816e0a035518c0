"""What `train` and `tune` have in common: checks first, then a sweep of runs."""

import contextlib
import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.commands import checks
from benchmarks.errors import InputError
from benchmarks.models import check_name
from benchmarks.run import OptimizerSpec, RunConfig
from benchmarks.training.processes import ProcessGroup

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from benchmarks.environment import Checked
    from benchmarks.sweeps.cluster import Cluster


def check_names(
    datasets: Sequence[str], models: Sequence[str], specs: Sequence[OptimizerSpec], backend: str
) -> None:
    """Find what is wrong with the names, as far as that needs no TensorFlow."""
    for name in models:
        check_name(name)
    checks.given_once(dataset=datasets, model=models, optimizer=map(str, specs))
    checks.installed(backend)


def check_options(
    schedule: str, warmup_steps: int, target_accuracy: float | None, stop_at_target: bool
) -> None:
    """Find what is wrong with options together."""
    if warmup_steps and schedule == "reduce-on-plateau":
        raise InputError("not with reduce-on-plateau", warmup_steps=warmup_steps)
    if stop_at_target and target_accuracy is None:
        raise InputError("there is no target", stop_at_target=True, see=["target_accuracy"])


def process_group(
    coordinator: str | None,
    processes: int,
    process_id: int | None,
    backend: str,
    **elsewhere: object,
) -> ProcessGroup | None:
    """Return the processes that train together; None if it is this one alone.

    `elsewhere` are the options that let others do whole runs; they do not go together.
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
        raise InputError("not without the others", see=missing, **{name: given[name]})
    if backend != "jax":
        raise InputError(
            "several processes train together on jax only: Keras's fit does not run under "
            "TensorFlow's MultiWorkerMirroredStrategy",
            backend=backend,
        )
    for name, value in elsewhere.items():
        if value is not None:
            raise InputError("its workers train alone", see=["coordinator"], **{name: value})
    if process_id >= processes:
        raise InputError(f"they count from 0 to {processes - 1}", process_id=process_id)
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise InputError("expected HOST:PORT, as in 10.0.0.1:4321", coordinator=coordinator)
    return ProcessGroup(coordinator, processes, process_id)


def new_folder(command: str, output: Path | None, resume: bool) -> Path:
    """Return the folder for the reports, which holds none yet unless `resume`."""
    folder = output or checks.default_folder(command)
    if resume and output is None:
        raise InputError("name the folder to go on in", resume=True, see=["output"])
    if (folder / "runs.csv").exists() and not resume:
        raise InputError(
            "holds a report already; name a new folder, or go on in this one",
            output=folder,
            see=["resume"],
        )
    return folder


@contextlib.contextmanager
def connected(
    cluster: str | None, parallel: int | None, device: str | None, devices: int, console: "Console"
) -> "Iterator[Cluster | None]":
    """Give the workers to do the runs on; None, if they are done here one after the other.

    Args:
        cluster: address of a Dask scheduler.
        parallel: how many workers to start on this machine.
        device: the one asked for.
        devices: how many of them a run needs.
        console: to print on.
    """
    if cluster is None and parallel is None:
        yield None
        return
    if cluster is not None and parallel is not None:
        raise InputError("that is for this machine alone; give one of both", parallel=parallel)
    # Only now: Dask takes a second to load.
    from benchmarks.sweeps import cluster as dask
    from benchmarks.sweeps import local

    try:
        with contextlib.ExitStack() as stack:
            if parallel is not None:
                cluster = stack.enter_context(local.workers(parallel, device, devices))
            say = functools.partial(console.print, markup=False, highlight=False, soft_wrap=True)
            yield stack.enter_context(dask.at(str(cluster), say))
    except ConnectionError as error:
        raise InputError(str(error), cluster=cluster) from error


def check(
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    cluster: "Cluster | None",
    console: "Console",
    group: ProcessGroup | None,
) -> "Checked":
    """Find in seconds what would fail later."""
    from benchmarks.sweeps import here

    console.print("Checking the device, the optimizers and the data ...")
    if cluster is not None:
        return cluster.check(configs, device, data_dir, manual_dir)
    if group is not None:
        console.print(f"Waiting for {group.processes - 1} others at {group.coordinator} ...")
    return here.check(configs, device, data_dir, manual_dir, group)


def follow(
    group: ProcessGroup,
    device: str | None,
    devices: int,
    data_dir: Path | None,
    manual_dir: Path | None,
) -> int:
    """Train together with process 0, as long as it goes on."""
    from benchmarks.commands import terminal
    from benchmarks.sweeps.follow import follow

    follow(group, device, devices, data_dir, manual_dir, terminal.console())
    return 0


def end(group: ProcessGroup | None, device: str, devices: int) -> None:
    """Let the processes that train together with this one end."""
    from benchmarks.sweeps import here

    if group is not None:
        here.end(group, device, devices)


def run_sweep(
    configs: Sequence[RunConfig],
    folder: Path,
    data_dir: Path | None,
    checked: "Checked",
    cluster: "Cluster | None",
    console: "Console",
    timeout: float | None,
    save_weights: bool = False,
    group: ProcessGroup | None = None,
) -> "pd.DataFrame":
    """Do the runs that have no result in `folder`, which is held; return the rows of all."""
    from benchmarks.environment import peer_versions
    from benchmarks.store.folder import open_folder
    from benchmarks.sweeps import results, sweep
    from benchmarks.sweeps.display import Display

    open_folder(folder, checks.command_line(), checked.environment | {"peers": peer_versions()})
    to_do = results.unfinished(configs, folder)
    if len(to_do) < len(configs):
        console.print(f"{len(configs) - len(to_do)} of {len(configs)} runs have a result already.")
    try:
        with Display(console, len(to_do)) as display:
            if cluster is None:
                sweep.run_all(
                    *(to_do, folder, data_dir, checked.environment, display),
                    *(timeout, save_weights, group),
                )
            else:
                from benchmarks.sweeps import on_cluster

                on_cluster.run_all(cluster, to_do, folder, data_dir, display, timeout, save_weights)
    except (KeyboardInterrupt, ConnectionError):
        again = checks.command_to_resume(folder)
        print(f"The results so far are in {folder}. To go on: {again}", file=sys.stderr)
        raise
    runs = results.read_runs(folder)
    return runs[runs["run_id"].isin([config.run_id for config in configs])]
