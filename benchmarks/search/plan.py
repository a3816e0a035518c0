"""The trials of a search; each trial is a run like any other.

The trials are drawn in advance, not by a method that learns from earlier trials. So all trials are
known at the start, and an interrupted search can continue.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.analysis import trials
from benchmarks.errors import InputError
from benchmarks.run import OptimizerSpec, RunConfig
from benchmarks.search.draws import draw, space
from benchmarks.store.csv_file import Row
from benchmarks.store.report import Report


@dataclasses.dataclass(frozen=True)
class Trial:
    """One draw from the search space of an optimizer."""

    optimizer: str
    """The optimizer, with the ranges that are searched."""
    number: int
    """The number of the trial, counted from 0."""
    parameters: dict[str, Any]
    """The arguments that were drawn."""
    config: RunConfig


def plan_trials(
    specs: Sequence[OptimizerSpec],
    learning_rates: tuple[float, float],
    count: int,
    problems: Sequence[RunConfig],
) -> list[Trial]:
    """Return every trial of every optimizer on every problem.

    All optimizers have trial 0 before any has trial 1. So an interrupted search is a fair search
    with fewer trials.

    Args:
        specs: the optimizers; arguments that are lists are searched.
        learning_rates: ends of the range for an optimizer without a range of its own.
        count: number of trials of each optimizer.
        problems: configurations in which the optimizer and its learning rate are replaced; their
            seed is also the seed of the draws.

    Raises:
        InputError: a search space is wrong.
    """
    complete = [
        # The learning rate comes first, so that the rates are the same for equal ranges.
        OptimizerSpec(spec.name, {"learning_rate": list(learning_rates)} | spec.arguments)
        for spec in specs
    ]
    seed = problems[0].seed
    drawn = [(spec, draw(space(spec), count, seed)) for spec in complete]
    planned = []
    for problem in problems:
        for number in range(count):
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


def finalists(planned: Sequence[Trial], found: pd.DataFrame, count: int, seeds: int) -> list[Trial]:
    """Return the further runs of the best trials of each search; these runs decide the winner.

    Args:
        planned: the trials.
        found: their rows, with results.
        count: number of finalists of each search.
        seeds: number of seeds of each finalist. These seeds follow the seed of the search. The seed
        of the search is not used, because it has chosen the finalists and so favours them.
    """
    chosen = []
    for (dataset, model, optimizer), group in found.groupby(trials.SEARCH, sort=False):
        best = set(trials.ranking(trials.drawn(group)).index[:count])
        chosen += [
            trial
            for trial in planned
            if (trial.config.dataset, trial.config.model) == (dataset, model)
            and trial.optimizer == optimizer
            and trial.number in best
        ]
    return [
        dataclasses.replace(
            trial, config=dataclasses.replace(trial.config, seed=trial.config.seed + k)
        )
        for k in range(1, seeds + 1)  # seed by seed, so that a drift affects all equally
        for trial in chosen
    ]


def rows(planned: Sequence[Trial]) -> list[Row]:
    """Return the rows of trials.csv, still without results."""
    return [
        {
            "run_id": trial.config.run_id,
            "dataset": trial.config.dataset,
            "model": trial.config.model,
            "optimizer": trial.optimizer,
            "trial": trial.number,
            "seed": trial.config.seed,
            "parameters": json.dumps(trial.parameters),
        }
        for trial in planned
    ]


def winners(folder: Path) -> list[RunConfig]:
    """Return the run of each search's winner in `folder`, as it was configured there.

    Raises:
        InputError: there is no search, or no trial has a result.
    """
    if not trials.is_search(folder):
        raise InputError("holds no search; `tune` makes one", from_tune=folder)
    report = Report(folder)
    found = trials.winners(trials.read_trials(report)).drop_duplicates(trials.SEARCH)
    if found.empty:
        raise InputError("no trial has a result", from_tune=folder)
    runs = report.rows("runs.csv").set_index("run_id")
    missing = found[~found["run_id"].isin(runs.index)]
    if len(missing):
        raise InputError(
            f"runs.csv does not have the run {missing['run_id'].iloc[0]}, which won; `tune "
            "--resume` does it again",
            from_tune=folder,
        )
    return [_config(runs.loc[run_id]) for run_id in found["run_id"]]


def _config(run: "pd.Series[Any]") -> RunConfig:
    """Read a configuration from a row of runs.csv; columns that are missing have defaults."""
    values = {}
    for field in dataclasses.fields(RunConfig):
        if field.name in run and pd.notna(run[field.name]):
            value = run[field.name]
            values[field.name] = value.item() if hasattr(value, "item") else value
    return RunConfig(**values | {"jit_compile": str(values.get("jit_compile", "auto")).lower()})
