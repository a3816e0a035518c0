"""The update on TensorFlow, in place.

`Updater` sums the gradients over the replicas and finds the `Step` for the present options.
`routes.plan` chooses what updates which variable, once for each pattern of gradients. The `Step`
runs this plan from top to bottom, with `native` operations and XLA's `programs`. If the step is
called from Python, `eager_graph` makes one graph of it.
"""

from keras_adam.backends.tensorflow.updater import Updater

__all__ = ["Updater"]
