"""Compiles programs one after the other, each in its own process."""

import datetime
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import worker
from benchmarks.programs import targets
from benchmarks.programs.compiler import Compiled, Job
from benchmarks.store import csv_file, schema
from benchmarks.store.csv_file import Row
from benchmarks.store.folder import hold, open_folder


def compile_programs(
    jobs: Iterable[Job], folder: Path, command: str, keep_hlo: bool, say: Callable[[str], None]
) -> list[Row]:
    """Compile every program; write a row for each, and on request XLA's program.

    Args:
        jobs: the programs.
        folder: folder for programs.csv, and for hlo/NAME.txt if `keep_hlo`. If XLA cannot compile a
            program, NAME.log has what XLA printed.
        command: the user's command.
        keep_hlo: whether the optimized programs are kept.
        say: takes a line for each program.

    Returns:
        The rows; a program that does not compile has no row.

    Raises:
        InputError: an optimizer refuses its arguments, the folder cannot be written, or another
        command uses it.
    """
    rows: list[Row] = []
    with hold(folder):
        for job in jobs:
            started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            name = re.sub(r"[^\w.]+", "-", str(job)).strip("-")
            log = folder / f"{name}.log"
            messages = worker.run(
                "benchmarks.programs.compiler:compile_program",
                job,
                backend="jax",
                device="cpu",
                log=log,
            )
            for message in messages:
                if isinstance(message, worker.Failure):
                    if message.input_error:
                        log.unlink()
                        raise message.input_error
                    say(f"{job}: {message.error}")
                    break
                log.unlink()
                row = {**message.row, "started_at": started_at}
                if not rows:
                    environment = {column: row.get(column) for column in schema.ENVIRONMENT}
                    open_folder(folder, command, environment)
                csv_file.append(folder / "programs.csv", schema.PROGRAMS, [row])
                if keep_hlo:
                    _keep(message, folder / "hlo" / f"{name}.txt")
                rows.append(row)
                say(f"{job}: {row['compile_seconds']:.0f} s{_note(job, row)}")
    return rows


def _note(job: Job, row: Row) -> str:
    """Say if the program does not fit into the GPU; XLA compiles it nevertheless."""
    memory_mb = targets.targets()[job.target]["device_memory_size"] / 1e6
    if row["peak_mb"] <= memory_mb:
        return ""
    return f"; it needs {row['peak_mb']:,.0f} MB, and the GPU has {memory_mb:,.0f}"


def _keep(compiled: Compiled, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(compiled.hlo)
