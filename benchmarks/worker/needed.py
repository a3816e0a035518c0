"""Imports the libraries of a worker; the server imports this module once for all workers."""

import importlib

import keras
import PIL.Image
import tensorflow_datasets as tfds

from benchmarks.data import batches
from benchmarks.training import one_run  # noqa: F401  with all that it imports
from benchmarks.updates import one_update  # noqa: F401

backend = keras.backend.backend()
# A run imports these two modules only if it needs them.
batches.reader(backend)
importlib.import_module(f"keras_adam.backends.{backend}")
tfds.list_builders(with_community_datasets=False)  # imports every data set
PIL.Image.init()  # imports every format
