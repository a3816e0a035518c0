"""The networks: functions from the shape of an image and the number of classes to a model.

Each model maps images, float32 in [0, 1], to logits. Keras is imported when a model is built, not
with this file. So the command line can list the names without waiting for Keras.
"""

import inspect
from collections.abc import Callable
from typing import Any

Shape = tuple[int, int, int]
"""The height, width and channels of an image."""


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


def mlp_1024(image_shape: Shape, classes: int) -> Any:
    """Build two dense layers of 1024 units."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Flatten(),
            layers.Dense(1024, "relu"),
            layers.Dense(1024, "relu"),
            layers.Dense(classes),
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
    """Build the ResNet-20 of He et al. (2016); its shortcuts have no parameters.

    This is their network for CIFAR-10, with three stages of three blocks with 16, 32 and 64 filters
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
        if stride > 1:  # option A of the paper: every second pixel, zero channels added
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


def three_conv_three_dense(image_shape: Shape, classes: int) -> Any:
    """Build the `3c3d` of DeepOBS: three convolutions with pooling, three dense layers.

    It has no L2 penalty on the weights, because weight decay belongs to the optimizer. Images below
    32x32 are enlarged to 32x32.
    """
    import keras
    from keras import layers

    def conv(filters: int, size: int, padding: str) -> Any:
        return layers.Conv2D(
            filters, size, padding=padding, activation="relu", kernel_initializer="glorot_normal"
        )

    def pool() -> Any:
        return layers.MaxPooling2D(3, 2, padding="same")

    images, x = _input(image_shape)
    for layer in (
        *(conv(64, 5, "valid"), pool(), conv(96, 3, "valid"), pool(), conv(128, 3, "same"), pool()),
        *(layers.Flatten(), layers.Dense(512, "relu"), layers.Dense(256, "relu")),
        layers.Dense(classes),
    ):
        x = layer(x)
    return keras.Model(images, x)


def resnet50(image_shape: Shape, classes: int) -> Any:
    """Build Keras's ResNet50; images below 32x32 are enlarged to 32x32."""
    import keras

    return application(keras.applications.ResNet50, image_shape, classes)


def mobilenet_v3_small(image_shape: Shape, classes: int) -> Any:
    """Build Keras's MobileNetV3Small; images below 32x32 are enlarged to 32x32."""
    import keras

    return application(keras.applications.MobileNetV3Small, image_shape, classes)


def efficientnet_b0(image_shape: Shape, classes: int) -> Any:
    """Build Keras's EfficientNetB0; images below 32x32 are enlarged to 32x32."""
    import keras

    return application(keras.applications.EfficientNetB0, image_shape, classes)


def vit_tiny(image_shape: Shape, classes: int) -> Any:
    """Build the ViT-Ti of Touvron et al. (2021): 12 layers, 192 wide, 3 heads.

    For images of a height of 128 and more, the patches have 16x16 pixels, as in the paper
    (https://arxiv.org/abs/2012.12877). For smaller images, the side of a patch is an eighth of the
    image's height.
    """
    import keras
    from keras import layers

    width, heads = 192, 3
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)

    class Embed(layers.Layer):
        """Puts the class token before the patches and adds the positions."""

        def build(self, shape: tuple[int | None, ...]) -> None:
            self.token = self.add_weight(shape=(1, 1, width), initializer=initializer)
            positions = (1, int(shape[1] or 0) + 1, width)
            self.positions = self.add_weight(shape=positions, initializer=initializer)

        def call(self, patches: Any) -> Any:
            token = keras.ops.tile(self.token, (keras.ops.shape(patches)[0], 1, 1))
            return keras.ops.concatenate([token, patches], axis=1) + self.positions

    def dense(units: int, activation: str | None = None) -> Any:
        return layers.Dense(units, activation, kernel_initializer=initializer)

    def norm(x: Any) -> Any:
        return layers.LayerNormalization(epsilon=1e-6)(x)

    size = 16 if image_shape[0] >= 128 else max(image_shape[0] // 8, 1)
    images = keras.Input(image_shape)
    x = layers.Conv2D(width, size, size, kernel_initializer=initializer)(images)
    x = Embed()(layers.Reshape((-1, width))(x))
    for _ in range(12):
        y = norm(x)
        y = layers.MultiHeadAttention(heads, width // heads, kernel_initializer=initializer)(y, y)
        x = layers.Add()([x, y])
        y = dense(width)(dense(4 * width, "gelu")(norm(x)))
        x = layers.Add()([x, y])
    return keras.Model(images, dense(classes)(norm(x)[:, 0]))


def _input(image_shape: Shape, smallest: int = 32) -> tuple[Any, Any]:
    """Return the input of a network, and its image, enlarged to the smallest size if needed."""
    import keras
    from keras import layers

    height, width, _ = image_shape
    images = keras.Input(image_shape)
    size = max(height, smallest), max(width, smallest)
    return images, images if size == (height, width) else layers.Resizing(*size)(images)


def application(
    network: Callable[..., Any], image_shape: Shape, classes: int, smallest: int = 32
) -> Any:
    """Build a network of `keras.applications` with random weights and logits.

    The model takes images in [0, 1]. The argument `include_preprocessing` switches the network's
    own preprocessing off, if the network has this argument. If the network still begins with a
    division by 255, the images are multiplied by 255 first.

    The moving averages of its batch normalization forget over 10 steps. Keras's own momentum of
    0.99 or 0.999 means 100 or 1000 steps. The runs here are too short for these values: the test
    accuracy would be that of the initial averages.

    Args:
        network: the function of `keras.applications`.
        image_shape: shape of one image.
        classes: number of classes.
        smallest: height and width to which smaller images are enlarged.
    """
    import keras
    from keras import layers

    images, x = _input(image_shape, smallest)
    arguments = {"include_preprocessing"} & inspect.signature(network).parameters.keys()
    built = network(
        input_shape=tuple(x.shape[1:]),
        weights=None,
        classes=classes,
        classifier_activation=None,
        **dict.fromkeys(arguments, False),
    )
    for layer in built.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.9
    # EfficientNet begins with a division by 255.
    divides = any(isinstance(layer, layers.Rescaling) for layer in built.layers[:2])
    if x is images and not divides:
        return built
    return keras.Model(images, built(layers.Rescaling(255.0)(x) if divides else x))
