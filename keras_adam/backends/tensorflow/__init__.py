"""The update on TensorFlow, in place.

A call goes one way: `Updater` sums the gradients over replicas and finds the
`CompiledStep` for the options in force; the step lets each variable be updated by
the route that `routes` chose for it: `plain_adam` (TensorFlow's own), a `Group` of neighbours that
share an XLA program, or `lazy_rows`. Called from Python, a step goes through a
`Launcher`, which makes one graph of it.
"""

from keras_adam.backends.tensorflow.updater import Updater

__all__ = ["Updater"]
