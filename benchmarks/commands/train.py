"""`train`: every model on every data set with every optimizer, over several seeds."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from benchmarks import optimizers
from benchmarks.commands import runs as common
from benchmarks.commands.options import reports_folder, shared
from benchmarks.commands.seeds import SEEDS
from benchmarks.errors import InputError
from benchmarks.run import parse_optimizer


@click.command()
@shared
@click.option(
    "--optimizer",
    "optimizer_texts",
    multiple=True,
    default=["keras_adam", "adam", "sgd"],
    help=f"One of {', '.join(optimizers.OPTIMIZERS)}, or package.module:Class, with or without "
    "arguments, as in 'adam(beta_1=0.95)'. Repeatable.",
)
@click.option(
    "--seeds",
    type=SEEDS,
    default="3",
    help="Number of seeds (3 means 0, 1 and 2), or the seeds: 3-7, or 0,4,9. The seed sets the "
    "initial weights and the order of the images.",
)
@click.option(
    "--learning-rate",
    type=float,
    help="Learning rate of every optimizer without one in parentheses. Default: Keras's own "
    "default, but 0.1 for sgd.",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Share of the training images of each class to hold out for validation. Validation "
    "images are for choices, test images only for the report. If the data set has validation "
    "images, these are used.",
)
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False),
    help="File with the weights at the start, .weights.h5 or .keras.",
)
@click.option(
    "--save-weights",
    is_flag=True,
    help="Keep the weights with the best validation accuracy of each run, RUN_ID.weights.h5.",
)
@click.option(
    "--data-wait",
    is_flag=True,
    help="Measure data_wait_fraction. The measurement makes a step about 0.2 ms slower.",
)
@click.option(
    "--from-tune",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Train the winners of a search, with their data sets, models, optimizers and all "
    "options, except for options given here.",
)
@reports_folder("train", "Folder for the reports, a new one unless --resume.")
@click.pass_context
def train(
    context: click.Context,
    /,
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    optimizer_texts: tuple[str, ...],
    seeds: Sequence[int],
    learning_rate: float | None,
    backend: str,
    output: Path | None,
    resume: bool,
    where: dict[str, Any],
    quiet: bool,
    save_weights: bool,
    from_tune: Path | None,
    **fixed: Any,
) -> int:
    """Train every model on every data set with every optimizer, over several seeds.

    Each run has its own process. Without options, the data set is the digits, the model is a small
    convolutional network, the optimizers are keras_adam, Keras's Adam and SGD, and there are three
    seeds.

    Writes runs.csv (one row for each run), epochs.csv (one row for each epoch), environment.json
    and command.txt. The exit code is 1 if a run failed. A run whose loss diverged has a result, so
    it has not failed.
    """
    if from_tune is not None:
        for name in ("datasets", "models", "optimizer_texts", "learning_rate", "backend"):
            if _is_given(context, name):
                raise InputError(
                    "the search has its own data sets, models, optimizers, learning rates and "
                    "backend; leave these options out",
                    from_tune=from_tune,
                )
    specs = [parse_optimizer(text) for text in optimizer_texts]
    common.check_names(datasets, models, specs, backend)
    if from_tune is None:  # else the options of the winners are checked below
        _check_options(save_weights, **fixed)
    rates = [optimizers.learning_rate(spec, learning_rate) for spec in specs]
    request = common.request(where, backend, fixed["devices"], fixed["processes"], save_weights)
    if request.group is not None and request.group.process_id:
        return common.follow(request, request.group)
    folder = common.new_folder("train", output, resume)

    # Imported here, so that help and bad input do not wait for pandas.
    from benchmarks import printing
    from benchmarks.commands import terminal
    from benchmarks.store import schema
    from benchmarks.sweeps import plan

    if from_tune is None:
        configs = plan.configurations(
            datasets,
            models,
            zip(map(str, specs), rates, strict=True),
            seeds,
            device="",  # not known yet
            backend=backend,
            **fixed,
        )
    else:
        from benchmarks.search.plan import winners

        given = {name: value for name, value in fixed.items() if _is_given(context, name)}
        configs = plan.again(winners(from_tune), seeds, **given)
        for config in configs:
            options = {name: getattr(config, name) for name in fixed}
            _check_options(save_weights, **options)
    console = printing.console(quiet)
    request = dataclasses.replace(request, devices=configs[0].devices)
    with common.sweep(request, configs, folder, console) as sweep:
        runs = sweep.train([sweep.as_found(config) for config in configs])
    printing.table(console, *terminal.summary(runs), names=3)
    for name in ("runs.csv", "epochs.csv"):
        print(folder / name)
    return int(not runs["status"].isin(schema.RESULTS).all())


def _check_options(save_weights: bool, **options: Any) -> None:
    shared = ("schedule", "warmup_steps", "target_accuracy", "stop_at_target")
    common.check_options(**{name: options[name] for name in shared})
    for option, needs_validation in (
        ({"schedule": options["schedule"]}, options["schedule"] == "reduce-on-plateau"),
        ({"save_weights": save_weights}, save_weights),
    ):
        if needs_validation and not options["validation"]:
            raise InputError("needs validation images; hold some out", see=["validation"], **option)


def _is_given(context: click.Context, name: str) -> bool:
    """Whether the user gave an option on the command line."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE
