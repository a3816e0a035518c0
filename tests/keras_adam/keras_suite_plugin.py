"""A pytest plugin that puts our classes in place of Keras's before its tests import them."""

import keras
import keras.src.optimizers as keras_optimizers

import keras_adam

for module, name in [
    (keras_optimizers.adam, "Adam"),
    (keras_optimizers.adamw, "AdamW"),
    (keras_optimizers, "Adam"),
    (keras_optimizers, "AdamW"),
]:
    setattr(module, name, getattr(keras_adam, name))
for name in ("Adam", "AdamW"):
    keras_optimizers.ALL_OBJECTS_DICT[name.lower()] = getattr(keras_adam, name)


def pytest_report_header():
    assert keras.optimizers.get("adam").__module__ == "keras_adam.optimizer"
    return "keras_adam took the place of keras.optimizers.Adam"
