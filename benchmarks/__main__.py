"""The command line: `python -m benchmarks COMMAND`, one function a command."""

import collections
import dataclasses
import datetime
import importlib.util
import itertools
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import optimizers, peers, training_step
from benchmarks import shapes as shapes_by_name
from benchmarks.config import InputError, OptimizerSpec, RunConfig, parse_optimizer
from benchmarks.models import check_name
from benchmarks.options import DATA_DIR, MANUAL_DIR, shared

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from benchmarks.events import Checked


@click.group(context_settings={"show_default": True, "max_content_width": 100})
def cli() -> None:
    """Compare Keras optimizers on real image data; the reports are CSV files."""


@cli.command()
@shared
@click.option(
    "--optimizer",
    "optimizer_texts",
    multiple=True,
    default=["keras_adam", "adam", "sgd"],
    help=f"One of {', '.join(optimizers.OPTIMIZERS)}, or package.module:Class; with arguments in "
    "parentheses, as in 'adam(beta_1=0.95)'. Repeatable.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    help="How many runs of each kind: seeds 0, 1, ... The seed sets the initial weights "
    "and the order of the images.",
)
@click.option(
    "--learning-rate",
    type=float,
    help="For every optimizer that has none in parentheses. Default: "
    + ", ".join(f"{name} {e.learning_rate}" for name, e in optimizers.OPTIMIZERS.items())
    + ".",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Share of the training images to hold out: they choose, the test images only report.",
)
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False),
    help="File with the weights to start from, .weights.h5 or .keras.",
)
@click.option(
    "--save-weights",
    is_flag=True,
    help="Keep the weights with the best validation accuracy of each run, RUN_ID.weights.h5.",
)
@click.option(
    "--data-wait",
    is_flag=True,
    help="Measure data_wait_fraction, which slows a step by some 0.2 ms.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the reports, a new one unless --resume. Default: results/train-DATE-TIME.",
)
def train(
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    optimizer_texts: tuple[str, ...],
    seeds: int,
    learning_rate: float | None,
    device: str | None,
    backend: str,
    data_dir: Path | None,
    manual_dir: Path | None,
    output: Path | None,
    resume: bool,
    timeout: float | None,
    save_weights: bool,
    **fixed: Any,
) -> int:
    """Train every model on every data set with every optimizer, over several seeds.

    Each run has a process of its own. Without options: the digits, a small
    convolutional network, keras_adam beside Keras's Adam and SGD, three seeds.

    Writes runs.csv (a row each run), epochs.csv (a row each epoch),
    environment.json and command.txt. Exit code 1 if a run failed; a run whose
    loss diverged has not failed, it has a result.
    """
    specs = [parse_optimizer(text) for text in optimizer_texts]
    _check_names(datasets, models, specs, backend)
    for option, needs_validation in (
        ("--schedule reduce-on-plateau", fixed["schedule"] == "reduce-on-plateau"),
        ("--save-weights", save_weights),
    ):
        if needs_validation and not fixed["validation"]:
            raise InputError(
                f"{option}: needs images to choose by; hold some out: --validation 0.1"
            )
    rates = [optimizers.learning_rate(spec, learning_rate) for spec in specs]
    folder = _new_folder("train", output, resume)

    # Only now, so that help and bad input do not wait for pandas.
    from benchmarks import sweep, table, terminal

    configs = sweep.configurations(
        datasets,
        models,
        zip(map(str, specs), rates, strict=True),
        seeds,
        device="",  # not known yet
        backend=backend,
        **fixed,
    )
    console = terminal.console()
    checked = _check(configs, device, data_dir, manual_dir, console)
    configs = [dataclasses.replace(config, device=checked.device) for config in configs]
    runs = _sweep(configs, folder, data_dir, checked, console, timeout, save_weights)
    console.print(terminal.summary(runs))
    for name in ("runs.csv", "epochs.csv"):
        print(folder / name)
    return int(not runs["status"].isin(table.RESULTS).all())


@cli.command()
@shared
@click.option(
    "--optimizer",
    "optimizer_texts",
    multiple=True,
    default=["keras_adam", "adam", "sgd"],
    help="As for train. An argument that is a list is searched: between two numbers, on a "
    "logarithmic scale from a ratio of 10 on, else one of the values: "
    "'sgd(learning_rate=[0.001, 1], momentum=[0.5, 0.99], nesterov=[True, False])'. Repeatable.",
)
@click.option(
    "--learning-rate",
    "learning_rates",
    type=float,
    nargs=2,
    default=(1e-5, 1.0),
    help="Ends of the search range of the learning rate, for every optimizer that names none.",
)
@click.option(
    "--trials", type=click.IntRange(min=1), default=20, help="Of every optimizer: the budget."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the draws and the runs.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    help="Share of the training images to hold out: they choose, the test images only report.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the reports, a new one unless --resume. Default: results/tune-DATE-TIME.",
)
def tune(
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    optimizer_texts: tuple[str, ...],
    learning_rates: tuple[float, float],
    trials: int,
    device: str | None,
    backend: str,
    data_dir: Path | None,
    manual_dir: Path | None,
    output: Path | None,
    resume: bool,
    timeout: float | None,
    **fixed: Any,
) -> int:
    """Search the best learning rate of every optimizer, with the same number of trials.

    The trials are drawn at random; the same seed draws the same ones. The best
    is the one with the highest validation accuracy after the last epoch.

    Writes trials.csv (a row each trial) beside the reports of train. Exit code
    1 if a run failed; one that diverged has not.
    """
    specs = [parse_optimizer(text) for text in optimizer_texts]
    _check_names(datasets, models, specs, backend)
    for spec in specs:  # a learning rate that is not searched
        given = {k: v for k, v in spec.arguments.items() if not isinstance(v, list)}
        optimizers.learning_rate(OptimizerSpec(spec.name, given), 1.0)
    folder = _new_folder("tune", output, resume)

    from benchmarks import table, terminal
    from benchmarks import trials as outcome
    from benchmarks import tune as search

    problems = [
        RunConfig(dataset, model, "", 0.0, device="", backend=backend, **fixed)
        for dataset, model in itertools.product(datasets, models)
    ]
    planned = search.plan(specs, learning_rates, trials, problems)
    console = terminal.console()
    first = [trial.config for trial in planned if trial.number == 0]
    checked = _check(first, device, data_dir, manual_dir, console)
    problems = [dataclasses.replace(problem, device=checked.device) for problem in problems]
    planned = search.plan(specs, learning_rates, trials, problems)
    configs = list(dict.fromkeys(trial.config for trial in planned))
    runs = _sweep(configs, folder, data_dir, checked, console, timeout)
    epochs = table.read(folder / "epochs.csv", table.EPOCHS)
    table.write(folder / "trials.csv", table.TRIALS, search.rows(planned, runs, epochs))
    found = table.read(folder / "trials.csv", table.TRIALS)
    console.print(terminal.search(found))
    for warning in outcome.warnings(found):
        print(f"Warning: {warning}", file=sys.stderr)
    for name in ("trials.csv", "runs.csv", "epochs.csv"):
        print(folder / name)
    return int(not runs["status"].isin(table.RESULTS).all())


def _check_names(
    datasets: Sequence[str], models: Sequence[str], specs: Sequence[OptimizerSpec], backend: str
) -> None:
    """Find what is wrong with the names, as far as that needs no TensorFlow."""
    for name in models:
        check_name(name)
    for name, given in (("dataset", datasets), ("model", models), ("optimizer", map(str, specs))):
        for value, count in collections.Counter(given).items():
            if count > 1:
                raise InputError(f"--{name} {value!r}: given twice")
    if importlib.util.find_spec(backend) is None:
        raise InputError(f"--backend {backend!r}: {backend} is not installed here")


def _new_folder(command: str, output: Path | None, resume: bool) -> Path:
    """Return the folder for the reports, which holds none yet unless `resume`."""
    now = datetime.datetime.now().astimezone()
    folder = output or Path("results") / f"{command}-{now:%Y%m%d-%H%M%S}"
    if resume and output is None:
        raise InputError("--resume: name the folder to go on in with --output")
    if (folder / "runs.csv").exists() and not resume:
        raise InputError(
            f"--output {str(folder)!r}: holds a report already; name a new folder, "
            "or go on in this one with --resume"
        )
    return folder


def _check(
    configs: Sequence[RunConfig],
    device: str | None,
    data_dir: Path | None,
    manual_dir: Path | None,
    console: "Console",
) -> "Checked":
    from benchmarks import sweep

    console.print("Checking the device, the optimizers and the data ...")
    return sweep.check(configs, device, data_dir, manual_dir)


def _sweep(
    configs: Sequence[RunConfig],
    folder: Path,
    data_dir: Path | None,
    checked: "Checked",
    console: "Console",
    timeout: float | None,
    save_weights: bool = False,
) -> "pd.DataFrame":
    """Do the runs that have no result in `folder`; return the rows of all."""
    from benchmarks import sweep, terminal

    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    sweep.open_folder(folder, command, checked.environment)
    to_do = sweep.unfinished(configs, folder)
    if len(to_do) < len(configs):
        console.print(f"{len(configs) - len(to_do)} of {len(configs)} runs have a result already.")
    with terminal.Display(console, len(to_do)) as display:
        sweep.run_all(to_do, folder, data_dir, checked.environment, display, timeout, save_weights)
    runs = sweep.read_runs(folder)
    return runs[runs["run_id"].isin([config.run_id for config in configs])]


@cli.command()
@click.option(
    "--shapes",
    "shape_names",
    multiple=True,
    default=["efficientnet_b0", "resnet50"],
    help="Model whose trainable variables are updated: one of "
    f"{', '.join(shapes_by_name.SHAPES)}; or COUNTxSIZE, as in 200x5000, for so many variables of "
    "so many numbers each. Repeatable.",
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
    type=click.Choice([*peers.MODES, *training_step.MODES]),
    multiple=True,
    help="eager: called from Python; graph: in a tf.function; xla: in a step that XLA compiles; "
    "fit, fit_xla: the whole training step of the model, by default or with jit_compile=True, on a "
    f"batch of {training_step.BATCH_SIZE} images. "
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
        shapes_by_name.check_name(name)
        if set(modes) & set(training_step.MODES) and name not in training_step.IMAGE_SHAPES:
            raise InputError(
                f"--shapes {name!r}: has no model to train, as the modes "
                f"{', '.join(training_step.MODES)} do; {', '.join(training_step.IMAGE_SHAPES)} have"
            )
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


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    help="Optimizer that the others are compared with, spelled as in runs.csv. "
    "Default: adam, else the first. Only with one folder.",
)
@click.option(
    "--optimizer",
    "subjects",
    multiple=True,
    help="Compare only this one, spelled as in runs.csv. Repeatable.",
)
@click.option(
    "--any-environment",
    is_flag=True,
    help="Compare runs that were made on different machines or with different versions, too.",
)
@click.option(
    "--max-regression",
    metavar="PERCENT",
    help="Exit with code 1 if anything got worse by more than that (5%; of the accuracy, 5% means "
    "0.05), and if a run failed or missed the target that did not before.",
)
def compare(
    folders: tuple[Path, ...],
    baseline: str | None,
    subjects: tuple[str, ...],
    any_environment: bool,
    max_regression: str | None,
) -> int:
    """Compare the optimizers in one results FOLDER, or two FOLDERS: before and after a change.

    Runs are paired by their seeds. For each metric: the medians; the ratio
    (geometric mean over the pairs) or, for the accuracy, the difference (mean);
    its bootstrap interval; the p-value of the paired t-test; a verdict.
    """
    if len(folders) > 2:
        raise InputError(f"{len(folders)} folders given: compare takes one or two")
    if len(folders) == 2 and baseline is not None:
        raise InputError("--baseline: only with one folder; with two, the first is the baseline")
    largest = math.inf if max_regression is None else _percent(max_regression)

    from rich.console import Console

    from benchmarks import compare, terminal

    comparisons, warnings = (
        compare.within(folders[0], baseline, subjects, any_environment)
        if len(folders) == 1
        else compare.between(folders[0], folders[1], subjects, any_environment)
    )
    console = Console(width=None if sys.stdout.isatty() else 160)
    for (before, after, problem), group in itertools.groupby(
        comparisons, key=lambda c: (c.before, c.after, c.problem)
    ):
        console.print(f"{after} against {before}: {problem}", markup=False, highlight=False)
        console.print(terminal.comparison(list(group)), "")
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if max_regression is None:
        return 0
    worse = [c for c in comparisons if c.is_regression(largest)]
    for c in worse:
        print(f"Regression: {c.metric.column} of {c.after}: {c.verdict} ({c.problem})")
    return int(bool(worse))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write a page about the results in FOLDER, into it.

    report.html is one file that needs no other and no network; report.md says
    the same with the plots in PNG files beside it.
    """
    from benchmarks import report

    for path in report.write(folder):
        print(path)


def _percent(text: str) -> float:
    """Read `5%` as 0.05."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError(f"--max-regression {text!r}: expected a percentage such as 5%")
    return value


@cli.group()
def data() -> None:
    """Bring data sets onto this machine, and check those that are here."""


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


@data.command(name="list")
@DATA_DIR
def list_prepared(data_dir: Path | None) -> None:
    """Say which data sets are prepared, and where."""
    from benchmarks import prepared

    found = prepared.find(data_dir)
    for one in found:
        splits = ", ".join(f"{split} {records:,}" for split, records in one.splits.items())
        print(f"{one.name}: {splits}; {one.size_mb:,.1f} MB; {one.folder}")
    if not found:
        print(f"{prepared.root(data_dir)}: nothing is prepared")
    for path in prepared.leftovers(data_dir):
        print(f"{path}: of a preparation that was interrupted, unless it is still at work")


@data.command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    help="Name of a prepared data set. Repeatable. Default: all.",
)
@DATA_DIR
def verify(datasets: tuple[str, ...], data_dir: Path | None) -> int:
    """Read every record of prepared data sets, and say which files are damaged.

    Exit code 1 if one is.
    """
    from benchmarks import prepared, worker

    chosen = prepared.choose(prepared.find(data_dir), datasets)
    if not chosen:
        raise InputError(f"{prepared.root(data_dir)}: nothing is prepared")
    whole = True
    for message in worker.run(
        "benchmarks.prepared:verify", chosen, backend="tensorflow", device="cpu"
    ):
        if isinstance(message, worker.Failure):
            raise InputError(message.error)
        one, damage = message.prepared, message.damage
        if damage:
            whole = False
            print("\n".join([*damage, f"to mend {one.name}: {prepared.remedy(one)}"]))
        else:
            print(f"{one.name}: all {sum(one.splits.values()):,} records are whole; {one.folder}")
    return int(not whole)


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
