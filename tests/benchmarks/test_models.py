import functools

import keras
import numpy as np
import pytest

from benchmarks import models, own_models
from benchmarks.errors import InputError

LARGE = ["resnet50", "efficientnet_b0", "mobilenet_v3_small", "vit_tiny"]
"""Models that take seconds to build, so each is built once."""

SMALL = [name for name in models.MODELS if name not in LARGE]


@functools.cache
def small_images(name):
    """Return the model for images that are smaller than those of its paper."""
    return models.build(name, (8, 8, 1), 7, seed=1)


def assert_logits(model, shape, classes):
    logits = np.asarray(model(np.ones((2, *shape), np.float32)))
    assert logits.shape == (2, classes)
    assert np.isfinite(logits).all()
    assert not np.allclose(logits.sum(axis=1), 1)  # no softmax


@pytest.mark.parametrize("name", models.MODELS)
def test_a_model_takes_small_images_and_returns_logits(name):
    assert_logits(small_images(name), (8, 8, 1), 7)


@pytest.mark.parametrize("name", SMALL)
def test_the_seed_sets_the_initial_weights(name):
    one = small_images(name).get_weights()
    again, other = (models.build(name, (8, 8, 1), 7, seed).get_weights() for seed in (1, 2))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        # 784*1000+1000 + 1000*500+500 + 500*100+100 + 100*10+10
        ("mlp", (28, 28, 1), 1_336_610),
        ("mlp_1024", (28, 28, 1), 1_863_690),
        # 25*32+32 + 25*32*64+64 + 3136*1024+1024 + 1024*10+10
        ("2c2d", (28, 28, 1), 3_274_634),
        # 25*3*64+64 + 9*64*96+96 + 9*96*128+128 + 1152*512+512 + 512*256+256 + 256*10+10
        ("3c3d", (32, 32, 3), 895_210),
        # "0.27 M" in table 6 of the paper; scales and shifts of the normalisation included
        ("resnet20", (32, 32, 3), 269_722 + 688 * 2),
    ],
)
def test_a_model_is_the_one_of_its_paper(name, shape, parameters):
    model = models.build(name, shape, 10, seed=0)
    assert model.count_params() == parameters
    assert_logits(model, shape, 10)


def test_vit_tiny_is_the_one_of_its_paper():
    # "5M" in table 1 of the paper; timm's vit_tiny_patch16_224 has exactly as many
    assert models.build("vit_tiny", (224, 224, 3), 1000, seed=0).count_params() == 5_717_416


def own(image_shape, classes):
    return keras.Sequential(
        [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )


def with_wrong_logits(image_shape, classes):
    return own(image_shape, classes + 1)


def no_model(image_shape):
    return None


def with_softmax(image_shape, classes):
    return keras.Sequential([own(image_shape, classes), keras.layers.Softmax()])


class Subclassed(keras.Model):
    """A model whose last layer does not show that its outputs are probabilities."""

    def __init__(self, image_shape, classes):
        super().__init__()
        self.inner = own(image_shape, classes)
        self.input_shape, self.output_shape = (None, *image_shape), (None, classes)

    def call(self, images):
        exponential = keras.ops.exp(self.inner(images))
        return exponential / keras.ops.sum(exponential, -1, keepdims=True)


def without_weights(image_shape, classes):
    inner = own(image_shape, classes)
    inner.trainable = False
    return inner


@pytest.mark.parametrize(
    ("name", "probabilities"), [("own", False), ("with_softmax", True), ("Subclassed", True)]
)
def test_probabilities_are_told_from_logits(name, probabilities):
    name = f"{__name__}:{name}"
    model = models.build(name, (8, 8, 1), 10, seed=0)
    assert own_models.gives_probabilities(name, model) == probabilities


def test_the_loss_of_probabilities_is_that_of_their_logits():
    logits, probabilities = own((2, 2, 1), 3), with_softmax((2, 2, 1), 3)
    probabilities.set_weights(logits.get_weights())
    images, labels = np.random.default_rng(0).random((5, 2, 2, 1)), np.array([0, 1, 2, 0, 1])
    losses = []
    for model, from_logits in ((logits, True), (probabilities, False)):
        models.compile_for_training(model, "sgd", from_logits=from_logits)
        losses.append(model.evaluate(images, labels, verbose=0))
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_a_model_of_keras_applications():
    """Xception takes images of 71 x 71 and more, so smaller ones are enlarged."""
    name = "keras.applications:Xception"
    model = models.build(name, (32, 32, 3), 10, seed=0)
    assert not own_models.gives_probabilities(name, model)
    assert_logits(model, (32, 32, 3), 10)


def test_a_model_of_ones_own_by_its_import_path():
    model = models.build(f"{__name__}:own", (8, 8, 1), 10, seed=0)
    assert model.count_params() == 64 * 10 + 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:own", "'nowhere:own': ModuleNotFoundError"),
        (f"{__name__}:owm", "has no attribute 'owm'"),
        (f"{__name__}:with_wrong_logits", r"to \(None, 11\), but for this data set it must"),
        (f"{__name__}:without_weights", "has no trainable weights"),
        ("keras.applications:ResNet51", "has no attribute 'ResNet51'"),
        (f"{__name__}:no_model", "no_model.*takes 1 positional argument"),
    ],
)
def test_what_is_no_model_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        models.build(name, (8, 8, 1), 10, seed=0)
