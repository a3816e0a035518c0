"""Many runs on this machine, one after the other."""

import functools
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import InputError
from benchmarks.run import RunConfig
from benchmarks.store import schema
from benchmarks.store.csv_file import Row
from benchmarks.sweeps import here
from benchmarks.sweeps.display import Display
from benchmarks.sweeps.writer import Writer
from benchmarks.training.processes import ProcessGroup


def run_all(
    configs: Sequence[RunConfig],
    folder: Path,
    data_dir: Path | None,
    environment: Row,
    display: Display,
    timeout: float | None = None,
    save_weights: bool = False,
    group: ProcessGroup | None = None,
) -> None:
    """Run every configuration in a process of its own; write each when it has ended.

    Raises:
        InputError: one of the processes of `group`, that train together, has failed.
    """
    writer = Writer(folder)
    for config in configs:
        display.start(config)
        tell = functools.partial(display.tell, config)
        row, epochs = here.run(config, folder, data_dir, tell, timeout, save_weights, group)
        writer.write({**row, **environment, "runs_on_host": 1}, epochs)
        display.finish(config, row)
        if group is not None and row["status"] not in schema.RESULTS:
            raise InputError(
                f"{config}: {row['error']}. When one of the processes dies, all stop. Start all of "
                "them again, this one with --resume: they go on from the last backup"
            )
