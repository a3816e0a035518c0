"""A pytest plugin that makes Adam of every optimizer name in Keras's tests.

It is our Adam, or Keras's with `ADAM_BEHIND_NAMES=keras`, which shows the tests that fail with
both.
"""

import os

import keras
import keras.src.optimizers as keras_optimizers

import keras_adam

ADAM = keras.optimizers.Adam if os.environ.get("ADAM_BEHIND_NAMES") == "keras" else keras_adam.Adam

for name in ("adam", "adamw", "sgd", "rmsprop"):
    keras_optimizers.ALL_OBJECTS_DICT[name] = ADAM


def pytest_report_header():
    assert type(keras.optimizers.get("sgd")) is ADAM
    return f"{ADAM.__module__} is behind the names of optimizers"
