"""All that is worth measuring on a GPU, by one command: `make bench-gpu`.

Runs the harness's own commands one after the other and packs what they wrote into one
archive. One that fails, or takes longer than the time that is left, costs its own part
only.
"""

import contextlib
import datetime
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.commands import options
from benchmarks.commands.checks import installed
from benchmarks.errors import InputError

SHAPES = ("efficientnet_b0", "resnet50")
MODELS = ("mlp_1024", "2c2d", "mobilenet_v3_small")
PRECISIONS = ("float32", "mixed_bfloat16")
TESTS = ("tests/keras_adam/test_parity.py", "tests/keras_adam/test_precision.py")


def parts(backend: str, device: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each part's name, and the arguments of the Python that makes it; the best first."""
    adams = _each("optimizer", "keras_adam", "adam")

    def part(name: str, command: str, *arguments: str) -> tuple[str, list[str]]:
        where = [f"--backend={backend}", f"--device={device}", f"--output={folder / name}"]
        return name, ["-m", "benchmarks", command, *arguments, *where]

    if backend == "tensorflow":
        modes = _each("mode", "eager", "graph", "xla")
        kernel = _each("optimizer", "resource_apply_adam")
        yield part("update", "update", *_each("shapes", *SHAPES), *adams, *kernel, *modes)
        steps = [*_each("shapes", *MODELS), *_each("mode", "fit")]
        yield part("update_fit", "update", *steps, *adams, *_each("optimizer", "sgd"))
    else:
        modes = _each("mode", "eager", "xla")
        yield part("update", "update", *_each("shapes", *SHAPES), *adams, *modes)
    for precision in PRECISIONS:
        arguments = [*adams, "--seeds=3", f"--precision={precision}"]
        yield part(f"train_{precision}", "train", *arguments)
    yield "tests", ["-m", "pytest", "--quiet", "-p", "no:cacheprovider", *TESTS]


def _each(option: str, *values: str) -> list[str]:
    return [f"--{option}={value}" for value in values]


@click.command()
@options.BACKEND
@options.DEVICE
@click.option("--minutes", type=click.FloatRange(min=0), default=18.0, help="For all of it.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="New folder. Default: results/gpu-BACKEND-DATE-TIME.",
)
def main(backend: str, device: str | None, minutes: float, output: Path | None) -> int:
    """Measure on a GPU, and pack the reports into an archive that can be sent."""
    from benchmarks.updates import race

    end = time.monotonic() + 60 * minutes
    device = device or "gpu"
    now = datetime.datetime.now().astimezone()
    folder = output or Path("results") / f"gpu-{backend}-{now:%Y%m%d-%H%M%S}"
    if folder.exists():
        raise InputError("is there already; name a new folder", output=folder)
    installed(backend)
    race.check((), (), backend, device)  # raises if there is no GPU
    folder.mkdir(parents=True)
    for name, command in (
        ("nvidia-smi", ["nvidia-smi", "--query"]),
        ("packages", [sys.executable, "-m", "pip", "freeze"]),
    ):
        _run(command, folder / f"{name}.txt", 60)
    failures = 0
    for name, arguments in parts(backend, device, folder):
        left = end - time.monotonic()
        problem = "no time is left"
        if left > 0:
            print(f"{name}: python {' '.join(arguments)}", flush=True)
            command = [sys.executable, *arguments]
            problem = _run(command, folder / f"{name}.txt", left, KERAS_BACKEND=backend)
        if problem:
            failures += 1
            print(f"{name}: {problem}", flush=True)
    archive = shutil.make_archive(str(folder), "gztar", folder.parent, folder.name)
    print(f"Send {archive}")
    return int(failures > 0)


def _run(command: list[str], log: Path, seconds: float, **environment: str) -> str:
    """Run a command, and keep what it prints in `log`; say what went wrong, or nothing."""
    try:
        with log.open("w") as file:
            done = subprocess.run(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                env={**os.environ, **environment},
                check=False,
            )
    except FileNotFoundError:
        return f"{command[0]} is not here"
    except subprocess.TimeoutExpired:
        return "no time was left for the rest of it"
    return f"exit code {done.returncode}; see {log}" if done.returncode else ""


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        try:
            sys.exit(main(standalone_mode=False))
        except (InputError, click.ClickException) as error:
            sys.exit(f"Error: {error}")
