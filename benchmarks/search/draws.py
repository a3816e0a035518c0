"""What an optimizer's search draws from, and what it draws."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from benchmarks.errors import InputError
from benchmarks.reports.trials import is_logarithmic, is_range
from benchmarks.run import OptimizerSpec

Space = Mapping[str, BaseDistribution]


def space(spec: OptimizerSpec) -> Space:
    """Return what is searched: each argument of `spec` that is a list.

    Raises:
        InputError: a list is no range and no choice, or there is none.
    """
    lists = {name: v for name, v in spec.arguments.items() if isinstance(v, list)}
    if not lists:
        raise InputError("nothing to search: no argument is a list", optimizer=str(spec))
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


def _distribution(spec: OptimizerSpec, name: str, values: list[Any]) -> BaseDistribution:
    if not is_range(values):
        if len(values) < 2:
            raise InputError(
                f"{name} needs two ends, or values to choose from", optimizer=str(spec)
            )
        return CategoricalDistribution(values)
    low, high = values
    if not -math.inf < low < high < math.inf or (name == "learning_rate" and low <= 0):
        raise InputError(f"{name}: {low} to {high} is not a range", optimizer=str(spec))
    if name != "learning_rate" and type(low) is type(high) is int:
        return IntDistribution(low, high, log=is_logarithmic(low, high))
    return FloatDistribution(low, high, log=is_logarithmic(low, high))
