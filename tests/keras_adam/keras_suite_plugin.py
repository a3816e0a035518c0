"""A pytest plugin that puts our classes in place of Keras's before its tests import them."""

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
    # Keras makes an object of these classes where one of the above is called.
    from keras.src.backend.torch.optimizers import torch_adam, torch_adamw

    PLACES += [(torch_adam, "Adam"), (torch_adamw, "AdamW")]
for module, name in PLACES:
    setattr(module, name, getattr(keras_adam, name))
for name in ("Adam", "AdamW"):
    keras_optimizers.ALL_OBJECTS_DICT[name.lower()] = getattr(keras_adam, name)


def pytest_report_header():
    assert keras.optimizers.get("adam").__module__ == "keras_adam.optimizer"
    return "keras_adam took the place of keras.optimizers.Adam"
