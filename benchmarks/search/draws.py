"""The search space of an optimizer, and the draws from it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.analysis.trials import is_logarithmic, is_range
from benchmarks.errors import InputError
from benchmarks.run import OptimizerSpec

DIMENSIONS = 16
"""The number of dimensions of the sequence, the same in every search. The first dimension is for
the learning rate, so all optimizers with the same range get the same rates."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers between two ends, or their logarithms."""

    low: float
    high: float
    is_whole: bool = False

    def at(self, part: float) -> float:
        """Return the number at a position in the range, in [0, 1), rounded to four digits."""
        low, high = self.low, self.high + self.is_whole  # so that both ends are equally likely
        if is_logarithmic(self.low, self.high):
            value = low * (high / low) ** part
        else:
            value = low + (high - low) * part
        return math.floor(value) if self.is_whole else float(f"{value:.4g}")


@dataclasses.dataclass(frozen=True)
class Choice:
    """One value of a list."""

    values: Sequence[Any]

    def at(self, part: float) -> Any:
        """Return the value at a position in the list, in [0, 1)."""
        return self.values[math.floor(part * len(self.values))]


Space = Mapping[str, Range | Choice]


def space(spec: OptimizerSpec) -> Space:
    """Return the search space: each argument of `spec` that is a list.

    Raises:
        InputError: a list is not a range or a choice, or there are no lists or too many.
    """
    lists = {name: v for name, v in spec.arguments.items() if isinstance(v, list)}
    if not lists:
        raise InputError("nothing to search: no argument is a list", optimizer=str(spec))
    if len(lists) > DIMENSIONS:
        raise InputError(f"searches more than {DIMENSIONS} arguments", optimizer=str(spec))
    return {name: _range_or_choice(spec, name, values) for name, values in lists.items()}


def draw(searched: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """Draw the parameters of each trial; with a larger `trials`, the first draws are the same.

    The draws are from a scrambled Sobol sequence of quasi-random numbers. Each of 2^m equal parts
    of a range contains exactly one of the first 2^m draws, so the draws cannot cluster.

    References:
        - [Sobol, 1967](https://doi.org/10.1016/0041-5553(67)90144-9), scrambled as in
          `scipy.stats.qmc.Sobol`.
        - [Bousquet et al., 2017](https://arxiv.org/abs/1706.03200): with such draws, a search
          needs fewer trials than with random ones.
    """
    from scipy.stats import qmc  # the import takes a second

    sequence = qmc.Sobol(DIMENSIONS, scramble=True, seed=seed)
    points = sequence.random_base2(math.ceil(math.log2(trials)))[:trials]
    return [
        {
            name: values.at(part)
            for (name, values), part in zip(searched.items(), point, strict=False)
        }
        for point in points.tolist()
    ]


def _range_or_choice(spec: OptimizerSpec, name: str, values: list[Any]) -> Range | Choice:
    if not is_range(values):
        if len(values) < 2:
            raise InputError(
                f"{name} needs two ends, or values to choose from", optimizer=str(spec)
            )
        return Choice(values)
    low, high = values
    if not -math.inf < low < high < math.inf or (name == "learning_rate" and low <= 0):
        raise InputError(f"{name}: {low} to {high} is not a range", optimizer=str(spec))
    return Range(low, high, name != "learning_rate" and type(low) is type(high) is int)
