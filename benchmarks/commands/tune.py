"""`tune`: the same number of trials for every optimizer."""

import dataclasses
import itertools
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
    help="As for train. An argument that is a list is searched. Two numbers are the ends of a "
    "range, on a logarithmic scale if their ratio is 10 or more; other lists have the values "
    "to choose from: 'sgd(learning_rate=[0.001, 1], momentum=[0.5, 0.99], nesterov=[True, "
    "False])'. Repeatable.",
)
@click.option(
    "--learning-rate",
    "learning_rates",
    type=float,
    nargs=2,
    default=(1e-5, 1.0),
    help="Ends of the search range of the learning rate, for every optimizer without its own "
    "range.",
)
@click.option(
    "--trials", type=click.IntRange(min=1), default=20, help="Number of trials of every optimizer."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, help="Seed of the draws and the runs."
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    help="Share of the training images to hold out. They choose the best trial; test images are "
    "only for the report.",
)
@click.option(
    "--finalists",
    type=click.IntRange(min=0),
    default=0,
    help="Number of best trials of every optimizer that are trained again with other seeds, "
    "before the winner is chosen.",
)
@click.option(
    "--finalist-seeds",
    type=click.IntRange(min=1),
    default=3,
    help="Number of runs of each finalist.",
)
@reports_folder("tune", "Folder for the reports, a new one unless --resume.")
def tune(
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    optimizer_texts: tuple[str, ...],
    learning_rates: tuple[float, float],
    trials: int,
    backend: str,
    output: Path | None,
    resume: bool,
    where: dict[str, Any],
    quiet: bool,
    finalists: int,
    finalist_seeds: int,
    **fixed: Any,
) -> int:
    """Search the best learning rate of every optimizer, with the same number of trials.

    The trials are drawn quasi-randomly, so that they cannot cluster. The same seed draws the same
    trials. The best trial has the highest validation accuracy after the last epoch. With
    --finalists it has the highest mean over seeds that the search has not used. `train --from-tune
    FOLDER` trains with the best trials.

    Writes trials.csv (one row for each run of a trial) beside the reports of train. The exit code
    is 1 if a run failed. A run that diverged has not failed.
    """
    specs = [parse_optimizer(text) for text in optimizer_texts]
    common.check_names(datasets, models, specs, backend)
    shared_checks = ("schedule", "warmup_steps", "target_accuracy", "stop_at_target")
    common.check_options(**{name: fixed[name] for name in shared_checks})
    for spec in specs:  # check the learning rate, unless it is searched
        given = {k: v for k, v in spec.arguments.items() if not isinstance(v, list)}
        optimizers.learning_rate(OptimizerSpec(spec.name, given), 1.0)
    request = common.request(where, backend, fixed["devices"], fixed["processes"])
    if request.group is not None and request.group.process_id:
        return common.follow(request, request.group)
    folder = common.new_folder("tune", output, resume)

    import pandas as pd

    from benchmarks import printing
    from benchmarks.analysis import trials as outcome
    from benchmarks.commands import terminal
    from benchmarks.search import plan
    from benchmarks.store import csv_file, schema

    problems = [
        RunConfig(
            dataset=dataset,
            model=model,
            optimizer="",
            learning_rate=0.0,
            device="",
            backend=backend,
            **fixed,
        )
        for dataset, model in itertools.product(datasets, models)
    ]
    planned = plan.plan_trials(specs, learning_rates, trials, problems)
    console = printing.console(quiet)
    first = [trial.config for trial in planned if trial.number == 0]
    with common.sweep(request, first, folder, console) as sweep:
        planned = [
            dataclasses.replace(trial, config=sweep.as_found(trial.config)) for trial in planned
        ]

        def train(all_planned: list[plan.Trial]) -> "tuple[pd.DataFrame, pd.DataFrame]":
            """Do the runs that are left; return the rows of runs.csv and of trials.csv."""
            path = folder / "trials.csv"
            rows = pd.DataFrame(plan.rows(all_planned), columns=list(schema.TRIALS))
            # The plan is written first. So if the search is interrupted, its runs are known to be
            # trials.
            csv_file.write(path, schema.TRIALS, plan.rows(all_planned))
            runs = sweep.train(list(dict.fromkeys(trial.config for trial in all_planned)))
            epochs = csv_file.read(folder / "epochs.csv", schema.EPOCHS)
            found = outcome.with_results(rows.astype(dict(schema.TRIALS)), runs, epochs)
            csv_file.write(path, schema.TRIALS, found.to_dict("records"))
            return runs, found

        runs, found = train(planned)
        if finalists:
            best = plan.finalists(planned, found, finalists, finalist_seeds)
            runs, found = train([*planned, *best])
    printing.table(console, *terminal.search(found), names=3)
    for warning in outcome.warnings(found):
        printing.warn(warning)
    for name in ("trials.csv", "runs.csv", "epochs.csv"):
        print(folder / name)
    return int(not runs["status"].isin(schema.RESULTS).all())
