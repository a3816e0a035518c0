"""Adam for Keras with a compiled update: change one import and train as before."""

from keras_adam.optimizer import Adam, AdamW

__all__ = ["Adam", "AdamW"]
__version__ = "0.1.0"
