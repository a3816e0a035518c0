"""Loss and accuracy over all images of a split, on one device or several."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.run import RunConfig
from benchmarks.training import replicas


def evaluate(model: Any, images: Any, config: RunConfig) -> dict[str, float]:
    """Return `loss` and `accuracy` of a model over `images`, every one counted once.

    Args:
        model: compiled Keras model.
        images: `tf.data.Dataset` of batches (images, labels), the last of which may be smaller.
        config: the run.
    """
    if config.backend != "jax" or config.devices * config.processes == 1:
        return dict(model.evaluate(images, verbose=0, return_dict=True))
    # `keras.distribution` wants batches that all devices can share. The last one may be none:
    # every device then gets all of it, which leaves its mean as it is.
    first = replicas.process_id(config)
    whole: list[int] = []
    rest: list[tuple[np.ndarray, np.ndarray]] = []

    def shares() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for x, y in images.as_numpy_iterator():
            if len(y) < config.batch_size:
                rest.append((x, y))
            else:
                whole.append(len(y))
                yield x[first :: config.processes], y[first :: config.processes]

    parts = []
    found = shares()
    one = next(found, None)  # Keras refuses a generator without any
    if one is not None:
        every = (share for share in itertools.chain([one], found))  # no other iterators for Keras
        measured = model.evaluate(every, verbose=0, return_dict=True)
        parts.append((sum(whole), measured))
    for x, y in rest:
        everywhere = (np.concatenate([array] * config.devices) for array in (x, y))
        parts.append((len(y), model.test_on_batch(*everywhere, return_dict=True)))
    count = sum(images for images, _ in parts)
    return {
        name: sum(images * measured[name] for images, measured in parts) / count
        for name in ("loss", "accuracy")
    }
