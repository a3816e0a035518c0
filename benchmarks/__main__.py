"""The command line: `python -m benchmarks COMMAND`, one function a command."""

import collections
import datetime
import importlib.util
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from benchmarks import optimizers, peers
from benchmarks.config import InputError, nearest, parse_optimizer
from benchmarks.models import MODELS
from benchmarks.shapes import SHAPES

DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where prepared data sets lie. Default: TFDS's own, ~/tensorflow_datasets.",
)
MANUAL_DIR = click.option(
    "--manual-dir",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder with the original files of a data set that is not prepared yet; "
    "they are checked against TFDS's checksums.",
)


@click.group(context_settings={"show_default": True, "max_content_width": 100})
def cli() -> None:
    """Compare Keras optimizers on real image data; the reports are CSV files."""


@cli.command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    default=["digits"],
    help="TFDS image classification data set; digits needs no network. Repeatable.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=["2c2d"],
    help=f"One of {', '.join(MODELS)}. Repeatable.",
)
@click.option(
    "--optimizer",
    "optimizer_texts",
    multiple=True,
    default=["keras_adam", "adam", "sgd"],
    help=f"One of {', '.join(optimizers.OPTIMIZERS)}; with arguments in parentheses, as in "
    "'adam(beta_1=0.95)'. Repeatable.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    help="How many runs of each kind: seeds 0, 1, ... The seed sets the initial weights "
    "and the order of the images.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=10, help="Passes over the data.")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, help="Images a step.")
@click.option(
    "--learning-rate",
    type=float,
    help="For every optimizer that has none in parentheses. Default: "
    + ", ".join(f"{name} {e.learning_rate}" for name, e in optimizers.OPTIMIZERS.items())
    + ".",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "gpu"]),
    help="Where to train. Default: the GPU if there is one.",
)
@click.option(
    "--backend",
    type=click.Choice(["tensorflow", "jax"]),
    default="tensorflow",
    help="Keras backend.",
)
@click.option(
    "--jit-compile",
    type=click.Choice(["auto", "true", "false"]),
    default="auto",
    help="Whether XLA compiles the training step; auto leaves it to Keras. "
    "The report says what it came to.",
)
@DATA_DIR
@MANUAL_DIR
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="New folder for the reports. Default: results/train-DATE-TIME.",
)
def train(
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    optimizer_texts: tuple[str, ...],
    seeds: int,
    batch_size: int,
    learning_rate: float | None,
    device: str | None,
    backend: str,
    data_dir: Path | None,
    manual_dir: Path | None,
    output: Path | None,
    **fixed: Any,
) -> int:
    """Train every model on every data set with every optimizer, over several seeds.

    Each run has a process of its own. Without options: the digits, a small
    convolutional network, keras_adam beside Keras's Adam and SGD, three seeds.

    Writes runs.csv (a row each run), epochs.csv (a row each epoch),
    environment.json and command.txt. Exit code 1 if a run failed; a run whose
    loss diverged has not failed, it has a result.
    """
    for name in models:
        if name not in MODELS:
            raise InputError(f"--model {name!r}: not a model; {nearest(name, MODELS)}")
    specs = [parse_optimizer(text) for text in optimizer_texts]
    for name, given in (("dataset", datasets), ("model", models), ("optimizer", map(str, specs))):
        for value, count in collections.Counter(given).items():
            if count > 1:
                raise InputError(f"--{name} {value!r}: given twice")
    rates = [optimizers.learning_rate(spec, learning_rate) for spec in specs]
    if importlib.util.find_spec(backend) is None:
        raise InputError(f"--backend {backend!r}: {backend} is not installed here")
    now = datetime.datetime.now().astimezone()
    folder = output or Path("results") / f"train-{now:%Y%m%d-%H%M%S}"
    if (folder / "runs.csv").exists():
        raise InputError(f"--output {str(folder)!r}: holds a report already; name a new folder")

    # Only now, so that help and bad input do not wait for pandas.
    from rich.console import Console

    from benchmarks import sweep, table, terminal

    # A file or a pipe has no width: leave the lines whole.
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print("Checking the device, the optimizers and the data ...")
    spellings = [str(spec) for spec in specs]
    checked = sweep.check(spellings, datasets, batch_size, backend, device, data_dir, manual_dir)
    configs = sweep.configurations(
        datasets,
        models,
        zip(spellings, rates, strict=True),
        seeds,
        batch_size=batch_size,
        device=checked.device,
        backend=backend,
        **fixed,
    )
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    sweep.open_folder(folder, command, checked.environment)
    with terminal.Display(console, len(configs)) as display:
        sweep.run_all(configs, folder, data_dir, checked.environment, display)

    runs = table.read(folder / "runs.csv", table.RUNS)
    console.print(terminal.summary(runs))
    for name in ("runs.csv", "epochs.csv"):
        print(folder / name)
    return int(not runs["status"].isin(["ok", "diverged"]).all())


@cli.command()
@click.option(
    "--shapes",
    "shape_names",
    multiple=True,
    default=["efficientnet_b0", "resnet50"],
    help=f"Model whose trainable variables are updated: one of {', '.join(SHAPES)}. Repeatable.",
)
@click.option(
    "--optimizer",
    "optimizer_texts",
    multiple=True,
    default=["keras_adam", "adam", "resource_apply_adam"],
    help="One that `train` takes, or one of these implementations of Adam elsewhere: "
    f"{', '.join(peers.PEERS)}. Repeatable.",
)
@click.option(
    "--mode",
    "modes",
    type=click.Choice(peers.MODES),
    multiple=True,
    help="eager: called from Python; graph: in a tf.function; xla: in a step that XLA compiles. "
    "Repeatable. Default: eager and graph, on JAX eager and xla.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=10,
    help="How often each competitor gets its turn.",
)
@click.option(
    "--repetitions",
    type=click.IntRange(min=1),
    default=5,
    help="Updates that are timed at each turn, after one that is not.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "gpu"]),
    help="Where to compute. Default: the GPU if there is one.",
)
@click.option(
    "--backend",
    type=click.Choice(["tensorflow", "jax"]),
    default="tensorflow",
    help="Keras backend.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="New folder for the reports. Default: results/update-DATE-TIME.",
)
def update(
    shape_names: tuple[str, ...],
    optimizer_texts: tuple[str, ...],
    modes: tuple[str, ...],
    rounds: int,
    repetitions: int,
    device: str | None,
    backend: str,
    output: Path | None,
) -> int:
    """Time one optimizer update, without a model, on the variables of real models.

    Every optimizer in every mode has a process of its own; they take turns,
    and one computes at a time. Beside them the memory bandwidth is measured,
    which limits them all.

    Writes updates.csv (a row each optimizer, mode and model), updates_raw.csv
    (a row each update), environment.json and command.txt. Exit code 1 if an
    optimizer failed.
    """
    for name in shape_names:
        if name not in SHAPES:
            raise InputError(f"--shapes {name!r}: not a known model; {nearest(name, SHAPES)}")
    specs = [str(parse_optimizer(text)) for text in optimizer_texts]
    for option, given in (("shapes", shape_names), ("optimizer", specs), ("mode", modes)):
        for value, count in collections.Counter(given).items():
            if count > 1:
                raise InputError(f"--{option} {value!r}: given twice")
    if importlib.util.find_spec(backend) is None:
        raise InputError(f"--backend {backend!r}: {backend} is not installed here")
    now = datetime.datetime.now().astimezone()
    folder = output or Path("results") / f"update-{now:%Y%m%d-%H%M%S}"
    if (folder / "updates.csv").exists():
        raise InputError(f"--output {str(folder)!r}: holds a report already; name a new folder")

    from rich.console import Console

    from benchmarks import competitors, race, sweep

    if not modes:
        modes = ("eager", "graph" if backend == "tensorflow" else "xla")
    found, left_out = competitors.combine(specs, modes, backend)
    console = Console(width=None if sys.stdout.isatty() else 120)
    for line in left_out:
        print(f"Left out: {line}.")
    console.print("Checking the device and the optimizers ...")
    checked, shapes = race.check(specs, shape_names, backend, device)
    plan = race.Plan(found, rounds, repetitions, checked.device)
    competitors.check_memory(shapes, len(found), checked.device)
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    sweep.open_folder(folder, command, checked.environment)
    complete = race.run(shapes, plan, folder, checked.environment, console)
    for name in ("updates.csv", "updates_raw.csv"):
        print(folder / name)
    return int(not complete)


@cli.group()
def data() -> None:
    """Bring data sets onto this machine."""


@data.command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    required=True,
    help="TFDS name: name, name/config or name:version. Repeatable.",
)
@MANUAL_DIR
@DATA_DIR
def prepare(datasets: tuple[str, ...], manual_dir: Path | None, data_dir: Path | None) -> None:
    """Download a data set, or convert it from original files, once.

    Afterwards `train` reads it without a network; the prepared folder can be
    copied to another machine.
    """
    from benchmarks import worker

    messages = worker.run(
        "benchmarks.data:prepare_all",
        datasets,
        data_dir,
        manual_dir,
        backend="tensorflow",
        device="cpu",
    )
    for message in messages:
        if isinstance(message, worker.Failure):
            raise InputError(message.error)
        name, path = message
        print(f"{name}: {path}")


def main() -> int:
    """Run the command line; every error of the user's is one line on stderr."""
    try:
        return int(cli(standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        return error.exit_code
    except InputError as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
