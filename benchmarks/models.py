"""From the name of a model to the model.

Every builder takes the shape of one image and the number of classes and
returns a Keras model from images, float32 in [0, 1], to logits. Keras is
imported when a model is built and not with this file, so that the command
line knows the names at once.
"""

from collections.abc import Callable, Mapping
from typing import Any

Shape = tuple[int, int, int]
"""Height, width, channels."""


def mlp(image_shape: Shape, classes: int) -> Any:
    """Build the `mlp` of DeepOBS: dense layers of 1000, 500 and 100 units."""
    import keras
    from keras import layers

    def dense(units: int, activation: str | None = "relu") -> Any:
        initializer = keras.initializers.TruncatedNormal(stddev=0.03)
        return layers.Dense(units, activation, kernel_initializer=initializer)

    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Flatten(),
            dense(1000),
            dense(500),
            dense(100),
            dense(classes, None),
        ]
    )


def two_conv_two_dense(image_shape: Shape, classes: int) -> Any:
    """Build the `2c2d` of DeepOBS: two 5x5 convolutions with pooling, two dense layers."""
    import keras
    from keras import layers

    def initializers() -> dict[str, Any]:
        return {
            "kernel_initializer": keras.initializers.TruncatedNormal(stddev=0.05),
            "bias_initializer": keras.initializers.Constant(0.05),
        }

    def conv(filters: int) -> Any:
        return layers.Conv2D(filters, 5, padding="same", activation="relu", **initializers())

    return keras.Sequential(
        [
            keras.Input(image_shape),
            conv(32),
            layers.MaxPooling2D(2, padding="same"),
            conv(64),
            layers.MaxPooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dense(1024, "relu", **initializers()),
            layers.Dense(classes, **initializers()),
        ]
    )


def resnet20(image_shape: Shape, classes: int) -> Any:
    """Build the ResNet-20 of He et al. (2016), with shortcuts without parameters.

    Their network for CIFAR-10: three stages of three blocks with 16, 32 and 64 filters
    (https://arxiv.org/abs/1512.03385, section 4.2).
    """
    import keras
    from keras import layers, ops

    def conv_norm(x: Any, filters: int, stride: int = 1) -> Any:
        x = layers.Conv2D(
            filters, 3, stride, "same", use_bias=False, kernel_initializer="he_normal"
        )(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    def block(x: Any, filters: int, stride: int) -> Any:
        shortcut = x
        if stride > 1:  # option A of the paper: take every second pixel, pad with zero channels
            new_channels = filters - x.shape[-1]
            shortcut = ops.pad(
                x[:, ::stride, ::stride, :], ((0, 0), (0, 0), (0, 0), (0, new_channels))
            )
        y = layers.ReLU()(conv_norm(x, filters, stride))
        return layers.ReLU()(layers.Add()([conv_norm(y, filters), shortcut]))

    images = keras.Input(image_shape)
    x = layers.ReLU()(conv_norm(images, 16))
    for filters, first_stride in ((16, 1), (32, 2), (64, 2)):
        x = block(x, filters, first_stride)
        x = block(x, filters, 1)
        x = block(x, filters, 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(classes)(x))


def mobilenet_v3_small(image_shape: Shape, classes: int) -> Any:
    """Build Keras's MobileNetV3Small; images below 32x32 are enlarged to that.

    Its moving averages forget over 10 steps instead of 1000: the runs here are
    too short for Keras's value, and the test accuracy would be that of the
    averages' initial values.
    """
    import keras
    from keras import layers

    height, width, channels = image_shape
    size = max(height, 32), max(width, 32)  # the network halves the image five times
    network = keras.applications.MobileNetV3Small(
        input_shape=(*size, channels),
        weights=None,
        classes=classes,
        classifier_activation=None,
        include_preprocessing=False,
    )
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.9
    if size == (height, width):
        return network
    images = keras.Input(image_shape)
    return keras.Model(images, network(layers.Resizing(*size)(images)))


MODELS: Mapping[str, Callable[[Shape, int], Any]] = {
    "mlp": mlp,
    "2c2d": two_conv_two_dense,
    "resnet20": resnet20,
    "mobilenet_v3_small": mobilenet_v3_small,
}


def build(name: str, image_shape: Shape, classes: int, seed: int) -> Any:
    """Build the model `name`; its initial weights depend on `seed` and on nothing else."""
    import keras

    keras.utils.set_random_seed(seed)
    return MODELS[name](image_shape, classes)
