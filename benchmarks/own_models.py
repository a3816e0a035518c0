"""Models by their import path: the user's own models, and those of `keras.applications`."""

import re
from typing import Any

from benchmarks.errors import InputError, one_line
from benchmarks.names import import_path
from benchmarks.networks import Shape, application

APPLICATIONS = "keras.applications:"
"""The prefix of the name of a model of `keras.applications`."""

SAMPLES = 4
"""The number of noise images that show whether outputs are probabilities."""


def build(name: str, image_shape: Shape, classes: int) -> Any:
    """Build a model.

    Args:
        name: import path of a function that takes `image_shape` and `classes`, or
            `keras.applications:NAME`.
        image_shape: shape of one image.
        classes: number of classes.

    Raises:
        InputError: there is no such function, or its model does not fit the images and classes, or
        has no trainable weights.
    """
    function = import_path(name, "model")
    try:
        if name.startswith(APPLICATIONS):
            model = _application(function, image_shape, classes)
        else:
            model = function(image_shape, classes)
        shapes = model.input_shape, model.output_shape
    except Exception as error:
        raise InputError(one_line(error), model=name) from error
    expected = (None, *image_shape), (None, classes)
    if not _fits(shapes[0], expected[0]) or shapes[1] != expected[1]:
        raise InputError(
            f"maps {shapes[0]} to {shapes[1]}, but for this data set it must map {expected[0]} to "
            f"{expected[1]}",
            model=name,
        )
    if not model.trainable_variables:
        raise InputError("has no trainable weights, so there is nothing to optimize", model=name)
    return model


def gives_probabilities(name: str, model: Any) -> bool:
    """Say whether the outputs of a model are probabilities, not logits.

    On TensorFlow, Keras would notice this itself; on JAX it would not.
    """
    if ":" not in name or name.startswith(APPLICATIONS):  # a model of the harness has a short name
        return False
    import numpy as np

    noise = np.random.default_rng(0).random((SAMPLES, *model.input_shape[1:]), np.float32)
    outputs = np.asarray(model(noise, training=False), np.float64)
    # Half precision has only three digits.
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=0.01))


def _application(network: Any, image_shape: Shape, classes: int) -> Any:
    try:
        return application(network, image_shape, classes)
    except ValueError as error:
        smallest = re.search(r"must be at least (\d+)x", str(error))
        if smallest is None:
            raise
        return application(network, image_shape, classes, int(smallest[1]))


def _fits(shape: Any, wanted: tuple[int | None, ...]) -> bool:
    """Whether a model's shape is the wanted one; a dimension of None fits every size."""
    return len(shape) == len(wanted) and all(
        of in (None, size) for of, size in zip(shape, wanted, strict=True)
    )
