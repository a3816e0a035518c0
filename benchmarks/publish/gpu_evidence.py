"""Measures everything of interest on a GPU with one command: `make bench-gpu`.

It runs the harness's own commands one after the other, and packs their results into one archive. If
a command fails or takes too long, only the results of this command are lost.
"""

import dataclasses
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
OTHERS = {
    "tensorflow": ("resource_apply_adam",),
    "jax": (),
    "torch": (
        *("torch_fused", "torch_foreach", "torch_fused_adamw_clipped"),
        *("keras_adamw(global_clipnorm=0.001)", "adamw(global_clipnorm=0.001)"),
    ),
}
MODES = {
    "tensorflow": ("eager", "graph", "xla"),
    "jax": ("eager", "xla"),
    "torch": ("eager",),
}
PRECISIONS = ("float32", "mixed_bfloat16")
TESTS = ("tests/keras_adam/test_parity.py", "tests/keras_adam/test_precision.py")

RESERVE_SECONDS = 60
"""The seconds that a part must leave for each following part."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One command of the harness, or the tests."""

    name: str
    arguments: list[str]
    """The arguments of Python."""


def parts(backend: str, device: str, folder: Path) -> Iterator[Part]:
    """Yield the parts, the most important first."""
    adams = _each("optimizer", "keras_adam", "adam")

    def part(name: str, command: str, *arguments: str) -> Part:
        where = [f"--backend={backend}", f"--device={device}", f"--output={folder / name}"]
        return Part(name, ["-m", "benchmarks", command, *arguments, *where])

    others = _each("optimizer", *OTHERS[backend])
    modes = _each("mode", *MODES[backend])
    for shapes in SHAPES:
        arguments = [f"--shapes={shapes}", *adams, *others, *modes]
        yield part(f"update_{shapes}", "update", *arguments)
    if backend == "torch":
        state_dtypes = ("keras_adam(state_dtype='bfloat16')", "keras_adam(state_dtype='int8')")
        yield part("update_state_dtype", "update", *_each("optimizer", *state_dtypes), *modes)
    if backend != "jax":  # `update` times no training steps on JAX
        steps = [*_each("shapes", *MODELS), *_each("mode", "fit"), *adams]
        yield part("update_fit", "update", *steps, *_each("optimizer", "sgd"))
    for precision in PRECISIONS:
        arguments = [*adams, "--seeds=3", f"--precision={precision}"]
        yield part(f"train_{precision}", "train", *arguments)
    tests = ["-m", "pytest", "--quiet", "-p", "no:cacheprovider", *TESTS]
    yield Part("tests", tests)


def _each(option: str, *values: str) -> list[str]:
    return [f"--{option}={value}" for value in values]


@click.command()
@options.BACKEND
@click.option(
    "--device",
    type=click.Choice(["gpu", "cpu"]),
    default="gpu",
    show_default=True,
    help="Device to compute on; cpu is for trying out this command.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=18.0,
    help="Largest number of minutes for all measurements together.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="New folder. Default: results/gpu-BACKEND-DATE-TIME.",
)
def main(backend: str, device: str, minutes: float, output: Path | None) -> int:
    """Measure on a GPU, and pack the reports into an archive that can be sent."""
    from benchmarks.updates import race

    end = time.monotonic() + 60 * minutes
    now = datetime.datetime.now().astimezone()
    folder = output or Path("results") / f"gpu-{backend}-{now:%Y%m%d-%H%M%S}"
    if folder.exists():
        raise InputError("exists already; name a new folder", output=folder)
    installed(backend)
    race.check_race((), (), backend, device)  # raises if there is no GPU
    folder.mkdir(parents=True)
    for name, command in (
        ("nvidia-smi", ["nvidia-smi", "--query"]),
        ("packages", [sys.executable, "-m", "pip", "freeze"]),
    ):
        _run(command, folder / f"{name}.txt", 60)
    failures = 0
    to_do = list(parts(backend, device, folder))
    for number, part in enumerate(to_do):
        left = end - time.monotonic()
        seconds = max(left - RESERVE_SECONDS * len(to_do[number + 1 :]), 0)
        print(
            f"{part.name}, {seconds:.0f} s at most: python {' '.join(part.arguments)}", flush=True
        )
        command = [sys.executable, *part.arguments]
        problem = _run(command, folder / f"{part.name}.txt", seconds, KERAS_BACKEND=backend)
        if problem:
            failures += 1
            print(f"{part.name}: {problem}", flush=True)
    archive = shutil.make_archive(str(folder), "gztar", folder.parent, folder.name)
    print(f"Send {archive}")
    return int(failures > 0)


def _run(command: list[str], log: Path, seconds: float, **environment: str) -> str:
    """Run a command, and write its output to `log`; return the error, or nothing."""
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
        return f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return f"not ready after {seconds:.0f} s; what it wrote is kept"
    return f"exit code {done.returncode}; see {log}" if done.returncode else ""


if __name__ == "__main__":
    try:
        sys.exit(main(standalone_mode=False))
    except click.ClickException as error:
        sys.exit(f"Error: {error.format_message()}")
    except InputError as error:
        sys.exit(f"Error: {error.spell(options.option)}")
    except (click.Abort, KeyboardInterrupt):
        sys.exit("Interrupted.")
