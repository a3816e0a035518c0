"""`versions`: trains with two versions of the code in turn, for a fair comparison."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from benchmarks.commands import checks, compare
from benchmarks.commands.options import reports_folder
from benchmarks.errors import InputError

ORDER = ("before", "after")
"""The order within the first seed; in the second seed it is reversed, and so on."""


@click.command()
@click.argument("before")
@click.argument("after")
@click.argument("train_options", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=5,
    help="Number of runs of each kind and version.",
)
@reports_folder("versions", "Folder for the two reports, a new one unless --resume.")
@click.option("--resume", is_flag=True, help="Continue in the folder --output.")
@click.option("--any-environment", is_flag=True, help="As for compare.")
@click.option("--max-regression", metavar="PERCENT", help="As for compare.")
@click.pass_context
def versions(
    context: click.Context,
    before: str,
    after: str,
    train_options: tuple[str, ...],
    seeds: int,
    output: Path | None,
    resume: bool,
    any_environment: bool,
    max_regression: str | None,
) -> int:
    """Train with two versions of the code in turn, and compare them.

    BEFORE and AFTER are each a checkout of this project (with the Python of its .venv, if it has
    one), or the Python of an environment in which a version is installed. The options after -- are
    for the `train` of both, as in `versions ../old . --seeds 10 -- --optimizer keras_adam --model
    mlp`.

    Both train seed by seed: before, after; after, before; and so on. A machine may drift, because
    it gets warm or other programs use it. If the versions take turns, a drift favours neither. In
    two sessions, one after the other, it would favour one of them.

    Writes two folders, before and after, each as `train` does. The output and the exit code are
    those of `compare`.
    """
    for text in train_options:
        name = text.partition("=")[0]
        if name in ("--seeds", "--output", "--resume"):
            raise InputError(f"{name}: give it before --, because it is for both versions")
    if max_regression is not None:
        compare.percent(max_regression)
    trains = {"before": _train("before", before), "after": _train("after", after)}
    if resume and output is None:
        raise InputError("name the folder to continue in", resume=True, see=["output"])
    folder = output or checks.default_folder("versions")
    folders = {name: folder / name for name in ORDER}
    if not resume and any((path / "runs.csv").exists() for path in folders.values()):
        raise InputError(
            "holds a report already; name a new folder, or continue in this one",
            output=folder,
            see=["resume"],
        )
    for seed in range(seeds):
        for name in ORDER if seed % 2 == 0 else reversed(ORDER):
            print(f"Seed {seed}, {name}:", flush=True)
            command, environment = trains[name]
            # The earlier seeds have a result already, so only one more seed is run.
            code = subprocess.run(
                [
                    *(*command, "train", *train_options),
                    *("--seeds", str(seed + 1), "--output", str(folders[name]), "--resume"),
                ],
                env=environment,
            ).returncode
            if code not in (0, 1):  # 1: a run has failed, and compare says so
                return code
    return int(
        context.invoke(
            compare.compare,
            folders=tuple(folders.values()),
            any_environment=any_environment,
            max_regression=max_regression,
        )
    )


def _train(argument: str, text: str) -> tuple[list[str], Mapping[str, str]]:
    """Return the command of a version's harness, and its environment variables."""
    path = Path(text)
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if (path / "benchmarks" / "__main__.py").exists():
        python = path / ".venv" / "bin" / "python"
        environment["PYTHONPATH"] = str(path.resolve())
        executable = str(python.absolute()) if python.exists() else sys.executable
    elif path.is_file() and os.access(path, os.X_OK):
        executable = str(path.absolute())
    else:
        raise InputError(f"{argument} {text!r}: neither a checkout of this project nor a Python")
    # -P: do not import from the folder in which this command was called.
    return [executable, "-P", "-m", "benchmarks"], environment
