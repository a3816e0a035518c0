"""The update on TensorFlow, in place.

A gradient goes one way: `Updater` sums it over replicas and finds the `Step` for the options in
force; `routes.plan` says once for each pattern of gradients what updates which variable; the
`Step` runs that plan from top to bottom, by `native` operations and by `programs` of XLA. Called
from Python, all of it is one graph of `eager_graph`.
"""

from keras_adam.backends.tensorflow.updater import Updater

__all__ = ["Updater"]
