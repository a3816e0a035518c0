"""Models that need PyTorch or come from another backend; training in two processes."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND, everything, random_arrays

if BACKEND != "torch":
    pytest.skip("PyTorch's", allow_module_level=True)

import torch

X, Y = (a.astype("float32") for a in random_arrays([(16, 3), (16, 1)], seed=0))


@pytest.mark.parametrize(
    "wrapper", [lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer]
)
def test_a_module_of_torch_within_the_model(wrapper):
    models = []
    for module in (keras_adam, keras.optimizers):
        keras.utils.set_random_seed(0)  # of torch, too
        layers = [keras.layers.TorchModuleWrapper(torch.nn.Linear(3, 4)), keras.layers.Dense(1)]
        models.append(keras.Sequential([keras.Input((3,)), *layers]))
        models[-1].compile(wrapper(module.AdamW(0.01)), "mse")
        models[-1].fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    assert len(models[0].trainable_variables) == 4
    for ours, theirs in zip(*(model.variables for model in models), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=5e-6)


@pytest.mark.parametrize("options", [{}, {"state_dtype": "bfloat16"}], ids=str)
def test_variables_without_values(options):
    """Keras builds some models only for their shapes, with variables without values."""
    with keras.device("meta"):
        variable = keras.Variable(np.ones(3))
        optimizer = keras_adam.Adam(0.1, clipnorm=1.0, **options)
        optimizer.apply([torch.ones(3, device="meta")], [variable])
    assert {v.value.device.type for v in optimizer.variables[2:]} == {"meta"}


WRITER = """
import sys
import keras, numpy as np
import keras_adam
folder = sys.argv[1]
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1500), keras.layers.Dense(1)])
for name, options in {
    "plain": {}, "int8": {"state_dtype": "int8"}, "all": {"amsgrad": True, "use_ema": True}
}.items():
    model.compile(keras_adam.Adam(0.01, **options), "mse")
    model.fit(np.load(f"{folder}/x.npy"), np.load(f"{folder}/y.npy"), epochs=2, verbose=0)
    model.save(f"{folder}/{name}.keras")
    arrays = [v.numpy() for v in model.variables + model.optimizer.variables]
    np.savez(f"{folder}/{name}.npz", *arrays)
"""


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="tensorflow is not installed")
def test_files_of_another_backend(tmp_path):
    """Each variable and each part of the state has the same bits."""
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    run_python(WRITER, tmp_path, KERAS_BACKEND="tensorflow")
    for name in ("plain", "int8", "all"):
        model = keras.models.load_model(tmp_path / f"{name}.keras")
        wrote = np.load(tmp_path / f"{name}.npz")
        for ours, theirs in zip(everything(model), wrote.values(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        model.fit(X, Y, epochs=1, verbose=0)
        assert int(model.optimizer.iterations) == 3
        model.save_weights(tmp_path / "w.weights.h5")
        again = keras.models.load_model(tmp_path / f"{name}.keras")
        again.load_weights(tmp_path / "w.weights.h5")
        for a, b in zip(everything(model), everything(again), strict=True):
            np.testing.assert_array_equal(a, b)


WORKER = """
import sys
import keras, numpy as np, torch
import torch.distributed as dist
import keras_adam
folder, rank, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
optimizer = keras_adam.AdamW(0.01, global_clipnorm=0.5)
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
parallel = torch.nn.parallel.DistributedDataParallel(model)
x, y = (torch.tensor(np.load(f"{folder}/{name}.npy"))[rank::size] for name in "xy")
for _ in range(5):
    model.zero_grad()
    (parallel(x) - y).square().mean().backward()
    weights = model.trainable_weights
    optimizer.apply([v.value.grad for v in weights], weights)
np.savez(f"{folder}/{rank}.npz", *(v.numpy() for v in model.variables + optimizer.variables))
dist.destroy_process_group()
"""


def test_two_processes_of_distributed_data_parallel(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    workers = [start_python(WORKER, tmp_path, str(rank), "2") for rank in range(2)]
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    optimizer = keras_adam.AdamW(0.01, global_clipnorm=0.5)
    for _ in range(5):
        model.zero_grad()
        (model(X) - torch.tensor(Y)).square().mean().backward()
        weights = model.trainable_weights
        optimizer.apply([v.value.grad for v in weights], weights)
    alone = [v.numpy() for v in model.variables + optimizer.variables]
    for worker in workers:
        error = worker.communicate(timeout=300)[1]
        assert worker.returncode == 0, error[-3000:]
    ends = [list(np.load(tmp_path / f"{rank}.npz").values()) for rank in range(2)]
    for one, other, whole in zip(*ends, alone, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, whole, rtol=0, atol=2e-6)


def run_python(script, *arguments, **environment):
    process = start_python(script, *arguments, **environment)
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 0, error[-3000:]


def start_python(script, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
