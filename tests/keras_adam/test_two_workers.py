"""Two processes under `MultiWorkerMirroredStrategy`, in the user's own training loop."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests import processes
from tests.keras_adam.training import BACKEND, random_arrays
from tests.reference import ReferenceAdam

if BACKEND != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

SHAPES = [(3, 4), (5,)]
SCRIPT = """
import json, os
import keras, tensorflow as tf
import keras_adam
from tests.keras_adam.test_two_workers import SHAPES, part
from tests.keras_adam.training import random_arrays

task = json.loads('TASK')
worker = task["task"]["index"]
os.environ["TF_CONFIG"] = json.dumps(task)
strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    variables = [keras.Variable(a.astype("float32")) for a in random_arrays(SHAPES, 1)]
    optimizer = keras_adam.Adam(0.01, global_clipnorm=0.5)
    optimizer.build(variables)

@tf.function
def step(gradients):
    # As a tape makes them: on the device of the replica.
    strategy.run(lambda: optimizer.apply([tf.identity(g) for g in gradients], variables))

for i in range(4):
    step([tf.constant(g) for g in part(i, worker)])
print(json.dumps([v.numpy().tolist() for v in variables]), flush=True)
"""


def part(step, worker):
    return [a.astype("float32") for a in random_arrays(SHAPES, 100 * step + worker)]


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_two_workers_are_one_device():
    reference = ReferenceAdam(learning_rate=0.01, global_clipnorm=0.5)
    reference.build([a.astype("float32") for a in random_arrays(SHAPES, 1)])
    for i in range(4):
        reference.apply([a + b for a, b in zip(part(i, 0), part(i, 1), strict=True)])
    workers = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    tasks = [
        {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        for index in range(2)
    ]
    with ThreadPoolExecutor() as pool:
        programs = [SCRIPT.replace("TASK", json.dumps(task)) for task in tasks]
        outputs = list(pool.map(processes.run, programs))
    for printed in outputs:
        (result,) = (line for line in printed.splitlines() if line.startswith("[["))
        for ours, theirs in zip(json.loads(result), reference.variables, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)
