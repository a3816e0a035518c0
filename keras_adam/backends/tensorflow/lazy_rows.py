"""The lazy update of the rows that a sparse gradient names.

Plain TensorFlow operations, since the number of rows may be another at every step: an
XLA program would be compiled for each.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_adam.backends.interface import TrackedVariable
from keras_adam.math import step, storage
from keras_adam.math.adam import Scalars
from keras_adam.math.options import Options
from keras_adam.math.sparse import Rows


def update(
    entry: TrackedVariable,
    gradient: Rows,
    scalars: Scalars,
    options: Options,
    clip_scale: Any | None,
    finite: Any | None,
    assign: Callable[[Any, Any], None],
) -> None:
    """Take a step with the rows of `gradient`, of which repeated ones carry their whole sum."""
    gradient = step.mean_gradient(gradient, entry.slots, scalars, options)
    indices, values = step.clip(gradient, scalars, options, clip_scale)
    slots = storage.map_arrays(lambda variable: tf.gather(variable, indices), entry.slots)
    new = step.next_slots(slots, values, entry.decays, scalars, options, finite)

    def write(variable: Any, rows: Any) -> None:
        assign(variable, tf.IndexedSlices(rows, indices))

    storage.map_arrays(write, entry.slots, new)
