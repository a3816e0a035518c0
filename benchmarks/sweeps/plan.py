"""The runs of a sweep, and their order."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from benchmarks.run import RunConfig


def configurations(
    datasets: Iterable[str],
    models: Iterable[str],
    optimizers: Iterable[tuple[str, float]],
    seeds: int | Sequence[int],
    **fixed: object,
) -> list[RunConfig]:
    """Return every combination, one seed after the other.

    Within a seed the optimizers follow each other, so that a disturbance of the machine affects all
    of them. Their order is reversed from seed to seed, so that a drift of the machine favours none.

    Args:
        datasets: names of the data sets.
        models: names of the models.
        optimizers: text and learning rate of each optimizer.
        seeds: the seeds, or their number, counted from 0.
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
        for dataset, model, (turn, seed) in itertools.product(datasets, models, _turns(seeds))
        for optimizer, learning_rate in (reversed(there) if turn % 2 else there)
    ]


def again(
    configs: Iterable[RunConfig], seeds: int | Sequence[int], **changed: object
) -> list[RunConfig]:
    """Return given runs with other seeds and changes, in an order that is reversed each seed."""
    there = list(configs)
    return [
        dataclasses.replace(config, seed=seed, **changed)  # type: ignore[arg-type]
        for turn, seed in _turns(seeds)
        for config in (reversed(there) if turn % 2 else there)
    ]


def _turns(seeds: int | Sequence[int]) -> list[tuple[int, int]]:
    return list(enumerate(range(seeds) if isinstance(seeds, int) else seeds))
