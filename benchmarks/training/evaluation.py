"""The loss and accuracy over all images of a split, on one device or several."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.run import RunConfig
from benchmarks.training import replicas


def evaluate(model: Any, images: Any, config: RunConfig) -> dict[str, float]:
    """Return `loss` and `accuracy` of a model over `images`; each image counts once.

    Args:
        model: compiled Keras model.
        images: batches (images, labels) of `benchmarks.data.plan.Data`; the last batch may be
            smaller.
        config: the run.
    """
    if config.backend != "jax" or config.devices * config.processes == 1:
        return dict(model.evaluate(images, verbose=0, return_dict=True))
    # `keras.distribution` needs batches that divide among all devices. If the last batch is
    # smaller, every device gets the whole batch, which does not change the mean.
    first = replicas.process_id(config)
    x, y = images[len(images) - 1]
    whole = len(images) - (len(y) < config.batch_size)

    def shares() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for x, y in images.take(whole):
            yield x[first :: config.processes], y[first :: config.processes]

    parts = []
    if whole:  # Keras refuses an empty generator
        measured = model.evaluate(shares(), steps=whole, verbose=0, return_dict=True)
        parts.append((whole * config.batch_size, measured))
    if whole < len(images):
        everywhere = (np.concatenate([array] * config.devices) for array in (x, y))
        parts.append((len(y), model.test_on_batch(*everywhere, return_dict=True)))
    count = sum(number for number, _ in parts)
    return {
        name: sum(number * measured[name] for number, measured in parts) / count
        for name in ("loss", "accuracy")
    }
