"""Which runs a sweep has, and in which order."""

import dataclasses
import itertools
from collections.abc import Iterable

from benchmarks.run import RunConfig


def configurations(
    datasets: Iterable[str],
    models: Iterable[str],
    optimizers: Iterable[tuple[str, float]],
    seeds: int,
    **fixed: object,
) -> list[RunConfig]:
    """Every combination, one seed after the other.

    Within a seed the optimizers follow each other, so that what disturbs the
    machine for a while disturbs them all alike; there and back from seed to
    seed, so that a drift of the machine favours none.

    Args:
        datasets: names.
        models: names.
        optimizers: spelling and learning rate of each.
        seeds: how many; they count from 0.
        **fixed: the other fields of `RunConfig`, the same for all.
    """
    there = list(optimizers)
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
        for optimizer, learning_rate in (reversed(there) if seed % 2 else there)
    ]


def again(configs: Iterable[RunConfig], seeds: int, **changed: object) -> list[RunConfig]:
    """Return runs that there were with other seeds, and what is changed: there and back."""
    there = list(configs)
    return [
        dataclasses.replace(config, seed=seed, **changed)  # type: ignore[arg-type]
        for seed in range(seeds)
        for config in (reversed(there) if seed % 2 else there)
    ]
