"""Trains one model in several processes, each on its own machine; process 0 leads.

Process 0 checks, then does one run after the other, then says that all is done. For each of these
tasks, every machine has a new worker process, and all connect again, so that a run does not affect
the next one. Process 0 first tells the others its task, and they do the same. Each process reads
the data on its own disk.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.environment import Checked
from benchmarks.errors import InputError, one_line
from benchmarks.run import RunConfig
from benchmarks.training import one_run, processes
from benchmarks.training.messages import Ended, Told
from benchmarks.training.monitor import Send
from benchmarks.training.processes import ProcessGroup

ALIKE = ("python", "keras", "keras_adam", "backend_version", "commit")
"""The columns of the environment in which all processes must agree to train one model."""


def check_together(
    group: ProcessGroup,
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    send: Send,
) -> None:
    """Do `one_run.check_runs` in all processes; called in process 0."""
    with processes.join(group):
        _tell("check", configs)
        _check(configs, device, data_dir, manual_dir, send)


def train_together(
    group: ProcessGroup,
    config: RunConfig,
    data_dir: Path | None,
    best_weights: Path | None,
    backup: Path,
    send: Send,
) -> None:
    """Do `one_run.train_model` in all processes; called in process 0."""
    with processes.join(group):
        _tell("run", [config])
        processes.share_folder(backup)
        one_run.train_model(config, data_dir, best_weights, backup, send)


def end(group: ProcessGroup, send: Send) -> None:
    """Say that all is done; called in process 0."""
    with processes.join(group):
        _tell("end", [])


def follow(
    group: ProcessGroup,
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    send: Send,
) -> None:
    """Do the next task of process 0; send `Told` before a run, `Ended` after the last one.

    Raises:
        InputError: the task cannot be done here, or process 0 is missing.
    """
    with processes.join(group), tempfile.TemporaryDirectory() as folder:
        said = processes.share(None)
        configs = [RunConfig(**fields) for fields in said["configs"]]
        match said["what"]:
            case "check":
                _check(configs, device, data_dir, manual_dir, send)
            case "run":
                send(Told(configs[0]))
                backup = Path(folder) / "backup"
                processes.share_folder(backup)
                one_run.train_model(configs[0], data_dir, None, backup, send)
            case "end":
                send(Ended())


def _tell(what: str, configs: Sequence[RunConfig]) -> None:
    processes.share({"what": what, "configs": [dataclasses.asdict(config) for config in configs]})


def _check(
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    send: Send,
) -> None:
    """Check in each process; an error in one process is raised in all."""
    checked: list[Checked] = []
    problem = ""
    try:
        one_run.check_runs(configs, device, data_dir, manual_dir, checked.append)
    except Exception as error:
        problem = str(error) if isinstance(error, InputError) else one_line(error)
    here = {}
    if checked:
        here = {name: checked[0].environment[name] for name in ALIKE}
        here["device"] = checked[0].device
    found = processes.gather({"problem": problem, "here": here})
    for number, other in enumerate(found):
        if other["problem"]:
            raise InputError(f"process {number}: {other['problem']}")
    for number, other in enumerate(found):
        for name, value in other["here"].items():
            if value != found[0]["here"][name]:
                raise InputError(
                    f"all processes need the same {name}; process {number} has {value}, "
                    f"process 0 {found[0]['here'][name]}"
                )
    send(checked[0])
