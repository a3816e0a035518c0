"""`tune`: the same number of trials for every optimizer."""

import dataclasses
import itertools
import sys
from pathlib import Path
from typing import Any

import click

from benchmarks import optimizers
from benchmarks.commands import runs as common
from benchmarks.commands.options import reports_folder, shared
from benchmarks.run import OptimizerSpec, RunConfig, parse_optimizer


@click.command()
@shared
@click.option(
    "--optimizer",
    "optimizer_texts",
    multiple=True,
    default=["keras_adam", "adam", "sgd"],
    help="As for train. An argument that is a list is searched: between two numbers, on a "
    "logarithmic scale from a ratio of 10 on, else one of the values: "
    "'sgd(learning_rate=[0.001, 1], momentum=[0.5, 0.99], nesterov=[True, False])'. Repeaschema.",
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
@reports_folder("tune", "Folder for the reports, a new one unless --resume.")
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
    common.check_names(datasets, models, specs, backend)
    for spec in specs:  # a learning rate that is not searched
        given = {k: v for k, v in spec.arguments.items() if not isinstance(v, list)}
        optimizers.learning_rate(OptimizerSpec(spec.name, given), 1.0)
    folder = common.new_folder("tune", output, resume)

    from benchmarks.commands import terminal
    from benchmarks.reports import csv_file, schema
    from benchmarks.reports import trials as outcome
    from benchmarks.search import plan

    problems = [
        RunConfig(dataset, model, "", 0.0, device="", backend=backend, **fixed)
        for dataset, model in itertools.product(datasets, models)
    ]
    planned = plan.plan(specs, learning_rates, trials, problems)
    console = terminal.console()
    first = [trial.config for trial in planned if trial.number == 0]
    checked = common.check(first, device, data_dir, manual_dir, console)
    problems = [dataclasses.replace(problem, device=checked.device) for problem in problems]
    planned = plan.plan(specs, learning_rates, trials, problems)
    configs = list(dict.fromkeys(trial.config for trial in planned))
    runs = common.run_sweep(configs, folder, data_dir, checked, console, timeout)
    epochs = csv_file.read(folder / "epochs.csv", schema.EPOCHS)
    csv_file.write(folder / "trials.csv", schema.TRIALS, plan.rows(planned, runs, epochs))
    found = csv_file.read(folder / "trials.csv", schema.TRIALS)
    console.print(terminal.search(found))
    for warning in outcome.warnings(found):
        print(f"Warning: {warning}", file=sys.stderr)
    for name in ("trials.csv", "runs.csv", "epochs.csv"):
        print(folder / name)
    return int(not runs["status"].isin(schema.RESULTS).all())
