"""The trials of a search, each a run like any other.

They are drawn at random and independently, and not by a method that learns
from those before. So all are known in advance, an interrupted search goes on
where it was, and any k of the trials are what a search of k would have been.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks.reports.csv_file import Row
from benchmarks.run import OptimizerSpec, RunConfig
from benchmarks.search.draws import draw, space


@dataclasses.dataclass(frozen=True)
class Trial:
    """One draw from the search space of an optimizer."""

    optimizer: str
    """With the ranges that are searched."""
    number: int
    """Counted from 0."""
    parameters: dict[str, Any]
    """What was drawn."""
    config: RunConfig


def plan(
    specs: Sequence[OptimizerSpec],
    learning_rates: tuple[float, float],
    trials: int,
    problems: Sequence[RunConfig],
) -> list[Trial]:
    """Return every trial of every optimizer on every problem.

    All optimizers have trial 0 before any has trial 1: an interrupted search
    is a smaller one.

    Args:
        specs: the optimizers; arguments that are lists are searched.
        learning_rates: ends of the range for an optimizer that names none.
        trials: for each optimizer.
        problems: configurations in which the optimizer and its learning rate are to be
            replaced; their seed is that of the draws too.

    Raises:
        InputError: a search space makes no sense.
    """
    complete = [
        # The learning rate first, for the same rates wherever the range is the same.
        OptimizerSpec(spec.name, {"learning_rate": list(learning_rates)} | spec.arguments)
        for spec in specs
    ]
    seed = problems[0].seed
    drawn = [(spec, draw(space(spec), trials, seed)) for spec in complete]
    planned = []
    for problem in problems:
        for number in range(trials):
            for spec, draws in drawn:
                arguments = spec.arguments | draws[number]
                rate = arguments.pop("learning_rate")
                config = dataclasses.replace(
                    problem,
                    optimizer=str(OptimizerSpec(spec.name, arguments)),
                    learning_rate=rate,
                )
                planned.append(Trial(str(spec), number, draws[number], config))
    return planned


def rows(planned: Sequence[Trial], runs: pd.DataFrame, epochs: pd.DataFrame) -> list[Row]:
    """Return the rows of trials.csv: those of the trials that have been run."""
    by_run = runs.set_index("run_id")
    last = epochs.sort_values("epoch").groupby("run_id")["val_accuracy"].last()
    found = []
    for trial in planned:
        run_id = trial.config.run_id
        if run_id in by_run.index:
            run = by_run.loc[run_id]
            found.append(
                {
                    "run_id": run_id,
                    "dataset": trial.config.dataset,
                    "model": trial.config.model,
                    "optimizer": trial.optimizer,
                    "trial": trial.number,
                    "parameters": json.dumps(trial.parameters),
                    "status": run["status"],
                    "val_accuracy": last[run_id] if run["status"] == "ok" else None,
                    "test_accuracy": run["test_accuracy"],
                }
            )
    return found
