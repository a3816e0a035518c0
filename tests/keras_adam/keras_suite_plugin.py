"""A pytest plugin that replaces Keras's classes by ours before Keras's tests import them."""

import keras
import keras.src.optimizers as keras_optimizers

import keras_adam

PLACES = [
    (keras_optimizers.adam, "Adam"),
    (keras_optimizers.adamw, "AdamW"),
    (keras_optimizers, "Adam"),
    (keras_optimizers, "AdamW"),
]
if keras.backend.backend() == "torch":
    # A call of one of the classes above makes an object of these classes.
    from keras.src.backend.torch.optimizers import torch_adam, torch_adamw

    PLACES += [(torch_adam, "Adam"), (torch_adamw, "AdamW")]
for module, name in PLACES:
    setattr(module, name, getattr(keras_adam, name))
for name in ("Adam", "AdamW"):
    keras_optimizers.ALL_OBJECTS_DICT[name.lower()] = getattr(keras_adam, name)


def pytest_report_header():
    assert keras.optimizers.get("adam").__module__ == "keras_adam.optimizer"
    return "keras_adam took the place of keras.optimizers.Adam"
