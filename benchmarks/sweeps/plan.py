"""Which runs a sweep has, and in which order."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import TypeVar

from benchmarks.run import RunConfig

T = TypeVar("T")


def configurations(
    datasets: Iterable[str],
    models: Iterable[str],
    optimizers: Iterable[tuple[str, float]],
    seeds: int,
    **fixed: object,
) -> list[RunConfig]:
    """Every combination, one seed after the other.

    Within a seed the optimizers follow each other, in the given order and in the next seed
    the other way round, so that what disturbs the machine for a while, or makes it slower
    and slower, favours none of them.

    Args:
        datasets: names.
        models: names.
        optimizers: spelling and learning rate of each.
        seeds: how many; they count from 0.
        **fixed: the other fields of `RunConfig`, the same for all.
    """
    optimizers = list(optimizers)
    return [
        RunConfig(
            dataset=dataset,
            model=model,
            optimizer=optimizer,
            learning_rate=learning_rate,
            seed=seed,
            **fixed,  # type: ignore[arg-type]
        )
        for dataset, model, seed in itertools.product(datasets, models, range(seeds))
        for optimizer, learning_rate in there_and_back(optimizers, seed)
    ]


def there_and_back(items: Sequence[T], turn: int) -> Sequence[T]:
    """Return the items in their order, or in every second turn the other way round."""
    return items[::-1] if turn % 2 else items


def again(configs: Iterable[RunConfig], seeds: int, **changed: object) -> list[RunConfig]:
    """Return runs that there were with other seeds, and what is changed, seed by seed."""
    configs = list(configs)
    return [
        dataclasses.replace(config, seed=seed, **changed)  # type: ignore[arg-type]
        for seed in range(seeds)
        for config in there_and_back(configs, seed)
    ]
