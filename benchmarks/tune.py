"""The same search for every optimizer: its trials, each a run like any other.

They are drawn at random and independently, and not by a method that learns
from those before. So all are known in advance, an interrupted search goes on
where it was, and any k of the trials are what a search of k would have been.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from benchmarks.config import InputError, OptimizerSpec, RunConfig
from benchmarks.table import Row
from benchmarks.trials import is_logarithmic, is_range

Space = Mapping[str, BaseDistribution]


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


def space(spec: OptimizerSpec) -> Space:
    """Return what is searched: each argument of `spec` that is a list.

    Raises:
        InputError: a list is no range and no choice, or there is none.
    """
    lists = {name: v for name, v in spec.arguments.items() if isinstance(v, list)}
    if not lists:
        raise InputError(f"--optimizer {str(spec)!r}: nothing to search: no argument is a list")
    return {name: _distribution(spec, name, values) for name, values in lists.items()}


def draw(searched: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """Draw the parameters of each trial; more `trials` begin with the same ones.

    Numbers have four digits, as many as a report shows.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    drawn = [study.ask(dict(searched)).params for _ in range(trials)]
    return [
        {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in parameters.items()}
        for parameters in drawn
    ]


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


def _distribution(spec: OptimizerSpec, name: str, values: list[Any]) -> BaseDistribution:
    if not is_range(values):
        if len(values) < 2:
            raise InputError(
                f"--optimizer {str(spec)!r}: {name} needs two ends, or values to choose from"
            )
        return CategoricalDistribution(values)
    low, high = values
    if not -math.inf < low < high < math.inf or (name == "learning_rate" and low <= 0):
        raise InputError(f"--optimizer {str(spec)!r}: {name}: {low} to {high} is not a range")
    if name != "learning_rate" and type(low) is type(high) is int:
        return IntDistribution(low, high, log=is_logarithmic(low, high))
    return FloatDistribution(low, high, log=is_logarithmic(low, high))
