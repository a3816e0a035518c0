"""What a worker needs, imported: the server imports this module, once for all workers."""

import importlib

import keras
import tensorflow_datasets as tfds

from benchmarks.training import one_run  # noqa: F401  with all that it imports
from benchmarks.updates import one_update  # noqa: F401

backend = keras.backend.backend()
reader = "tensorflow_batches" if backend == "tensorflow" else "grain_batches"
# By name: a run imports them only when it is known that it is about them.
importlib.import_module(f"benchmarks.data.{reader}")
importlib.import_module(f"keras_adam.backends.{backend}")
tfds.list_builders(with_community_datasets=False)  # imports every data set
