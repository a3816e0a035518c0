"""Adam for Keras with a compiled update: change one import and train as before."""

from keras_adam import distribution
from keras_adam.optimizer import Adam, AdamW

__all__ = ["Adam", "AdamW", "distribution"]
__version__ = "0.1.0"
