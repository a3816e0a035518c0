"""The shapes of a model's trainable variables, on which an update depends."""

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import models
from benchmarks.errors import InputError
from benchmarks.names import nearest
from benchmarks.updates import training_step

Shapes = list[tuple[int, ...]]


_EQUAL = re.compile(r"([1-9]\d*)x([1-9]\d*)")


class EmbeddingTable(tuple[int, ...]):
    """The shape of an embedding table, whose gradient names only a few of its rows."""

    NAMED_ROWS = 1024


def _of_model(name: str) -> Shapes:
    return _of(models.build(name, training_step.IMAGE_SHAPES[name], classes=10, seed=0))


def _of_application(name: str) -> Shapes:
    import keras

    return _of(getattr(keras.applications, name)(weights=None))  # 224x224x3 images, 1000 classes


def _of(model: Any) -> Shapes:
    return [tuple(variable.shape) for variable in model.trainable_variables]


def _vit_b16() -> Shapes:
    """List the variables of ViT-B/16 for 224x224x3 images and 1000 classes, 86.6 M parameters.

    Twelve encoder blocks of width 768 with twelve heads and an MLP of width
    3072, over 14 x 14 patches and a class token (Dosovitskiy et al. 2021,
    https://arxiv.org/abs/2010.11929, table 1). Query, key and value have a
    kernel each.
    """
    width, mlp_width, tokens = 768, 3072, 14 * 14 + 1
    norm: Shapes = [(width,), (width,)]
    projection: Shapes = [(width, width), (width,)]
    mlp: Shapes = [(width, mlp_width), (mlp_width,), (mlp_width, width), (width,)]
    block = norm + 4 * projection + norm + mlp
    patches: Shapes = [(16, 16, 3, width), (width,)]
    embedding = [*patches, (1, 1, width), (1, tokens, width)]
    return embedding + 12 * block + norm + [(width, 1000), (1000,)]


SHAPES: Mapping[str, Callable[[], Shapes]] = {
    **{name: functools.partial(_of_model, name) for name in training_step.IMAGE_SHAPES},
    "efficientnet_b0": lambda: _of_application("EfficientNetB0"),
    "resnet50": lambda: _of_application("ResNet50"),
    "vit_b16": _vit_b16,
    "embedding": lambda: [EmbeddingTable((1_000_000, 64))],
}


def check_name(name: str) -> None:
    """Raise an `InputError` unless `name` is in the table or has the form COUNTxSIZE."""
    if name not in SHAPES and not _EQUAL.fullmatch(name):
        raise InputError(
            f"not a known model; {nearest(name, SHAPES)}; or COUNTxSIZE: 200x5000 is 200 "
            "variables of 5,000 numbers each",
            shapes=name,
        )


def of(name: str) -> Shapes:
    """Return the shapes that `name` stands for."""
    equal = _EQUAL.fullmatch(name)
    if equal is None:
        return SHAPES[name]()
    count, size = map(int, equal.groups())
    return [(size,)] * count


def parameters(shapes: Shapes) -> int:
    """Count the numbers in variables of `shapes`."""
    return sum(math.prod(shape) for shape in shapes)
