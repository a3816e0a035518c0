"""Builds a model from its name, ready for training."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import networks, own_models
from benchmarks.errors import InputError
from benchmarks.names import nearest
from benchmarks.networks import Shape

MODELS: Mapping[str, Callable[[Shape, int], Any]] = {
    "mlp": networks.mlp,
    "mlp_1024": networks.mlp_1024,
    "2c2d": networks.two_conv_two_dense,
    "3c3d": networks.three_conv_three_dense,
    "resnet20": networks.resnet20,
    "resnet50": networks.resnet50,
    "mobilenet_v3_small": networks.mobilenet_v3_small,
    "efficientnet_b0": networks.efficientnet_b0,
    "vit_tiny": networks.vit_tiny,
}


def check_name(name: str) -> None:
    """Raise an `InputError` unless `name` is in the table or has the form of an import path."""
    if name not in MODELS and ":" not in name:
        raise InputError(f"not a model; {nearest(name, MODELS)}", model=name)


def build(name: str, image_shape: Shape, classes: int, seed: int) -> Any:
    """Build the model `name`; its initial weights depend only on `seed`.

    Args:
        name: a name in the table, `keras.applications:NAME`, or the import path of a function like
            those in the table.
        image_shape: shape of one image.
        classes: number of classes.
        seed: seed of the random numbers.

    Raises:
        InputError: there is no such function, or its model does not fit the images and classes, or
        has no trainable weights.
    """
    import keras

    keras.utils.set_random_seed(seed)
    if name in MODELS:
        return MODELS[name](image_shape, classes)
    return own_models.build(name, image_shape, classes)


def compile_for_training(
    model: Any,
    optimizer: Any,
    jit_compile: bool | str = "auto",
    steps_per_execution: int = 1,
    from_logits: bool = True,
) -> None:
    """Give a model its optimizer, loss and accuracy.

    Args:
        model: Keras model.
        optimizer: Keras optimizer.
        jit_compile: Keras's argument of `compile`, for the training step.
        steps_per_execution: steps in one call of the compiled function.
        from_logits: whether the outputs are logits; else they are probabilities.
    """
    import keras

    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
