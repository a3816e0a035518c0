"""Prepares a whole training step of a model, as in Keras's `fit`, for timing."""

from collections.abc import Mapping
from typing import Any

from benchmarks import models, optimizers
from benchmarks.networks import Shape
from benchmarks.run import OptimizerSpec
from benchmarks.updates import peers

MODES = ("fit", "fit_xla")
"""The modes: with the default settings of `fit`; with `jit_compile=True`."""

IMAGE_SHAPES: Mapping[str, Shape] = {
    "mlp": (28, 28, 1),
    "mlp_1024": (28, 28, 1),
    "2c2d": (28, 28, 1),
    "mobilenet_v3_small": (32, 32, 3),
}
"""The image shapes of the models whose steps are timed; they have ten classes."""

BATCH_SIZE = 32


def build(spec: OptimizerSpec, mode: str, model_name: str) -> peers.Update:
    """Make the model and the optimizer; every step has the same batch of random images.

    The step is Keras's own `train_function`: forward, backward, update and metrics.
    """
    import keras
    import numpy as np

    from benchmarks.device import synchronize

    image_shape = IMAGE_SHAPES[model_name]
    model = models.build(model_name, image_shape, classes=10, seed=0)
    optimizer = optimizers.build(spec, optimizers.learning_rate(spec, peers.LEARNING_RATE))
    models.compile_for_training(model, optimizer, mode == "fit_xla" or "auto")
    optimizer.build(model.trainable_variables)
    generator = np.random.default_rng(0)
    images = generator.random((BATCH_SIZE, *image_shape), np.float32)
    labels = generator.integers(0, 10, BATCH_SIZE, np.int32)
    batches = (
        _on_torch(images, labels)
        if keras.backend.backend() == "torch"
        else _on_tensorflow(images, labels)
    )
    model.make_train_function()
    return peers.Update(
        start=lambda: model.train_function(batches),
        wait=lambda: synchronize(model.trainable_variables),
        weights=lambda: [variable.numpy() for variable in model.trainable_variables],
        state=lambda: (variable.numpy() for variable in optimizer.variables),
    )


def _on_tensorflow(images: Any, labels: Any) -> Any:
    import tensorflow as tf

    return iter(tf.data.Dataset.from_tensors((images, labels)).cache().repeat().prefetch(2))


def _on_torch(images: Any, labels: Any) -> Any:
    """Return the argument of Keras's step on torch: a list of the batches of an execution."""
    import keras

    return [tuple(map(keras.ops.convert_to_tensor, (images, labels)))]
