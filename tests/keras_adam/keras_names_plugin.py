"""A pytest plugin that puts Adam behind the names of the optimizers that Keras's tests ask for.

Ours, or Keras's with `ADAM_BEHIND_NAMES=keras`, which shows what fails whoever's Adam it is.
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
