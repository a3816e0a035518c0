"""State split over four devices: the weights are those of one device, with a fourth of the
bytes."""

import json
from importlib.util import find_spec

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import run_on_jax

OPTIONS = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.05, "amsgrad": True, "weight_decay": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.05, "gradient_accumulation_steps": 2, "use_ema": True},
    "bfloat16": {"state_dtype": "bfloat16", "skip_nonfinite": True},
    "int8": {"state_dtype": "int8"},
}
SCRIPT = """
import json, sys
import jax, keras, numpy as np
import keras_adam

cases, folder = json.loads(sys.argv[1])
x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
y = np.random.default_rng(1).normal(size=(64, 3)).astype("float32")

def train(options, count, shard, load=None, save=None):
    devices = jax.devices()[:count]
    keras.distribution.set_distribution(
        keras_adam.distribution.DataParallel(devices=devices, shard_optimizer_state=shard)
    )
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(128, "tanh"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    model.compile(keras_adam.Adam(0.01, **options), "mse")
    if load:
        model.load_weights(f"{folder}/{load}.weights.h5")
    model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
    slots = [v.value for v in model.optimizer.variables[2:]]
    if save:
        model.save_weights(f"{folder}/{save}.weights.h5")
    shards = [[p for s in slots for p in s.addressable_shards if p.device == d] for d in devices]
    return {
        "weights": [w.tolist() for w in model.get_weights()],
        "bytes": sum(s.nbytes for s in slots),
        "bytes_each": max(sum(p.data.nbytes for p in own) for own in shards),
        "iterations": int(np.asarray(model.optimizer.iterations)),
    }

print(json.dumps({name: train(**case) for name, case in cases.items()}))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train all cases in one process with four simulated devices."""
    if find_spec("jax") is None:
        pytest.skip("jax is not installed")
    cases = {}
    for name, options in OPTIONS.items():
        cases[f"{name} one"] = {"options": options, "count": 1, "shard": False}
        cases[f"{name} sharded"] = {"options": options, "count": 4, "shard": True}
    cases["whole"] = {"options": {}, "count": 4, "shard": False}
    cases["plain sharded"]["save"] = "plain"
    cases["on two"] = {"options": {}, "count": 2, "shard": True, "load": "plain"}
    cases["on one"] = {"options": {}, "count": 1, "shard": False, "load": "plain"}
    folder = str(tmp_path_factory.mktemp("files"))
    printed = run_on_jax(SCRIPT, json.dumps([cases, folder]), devices=4)
    (result,) = (line for line in printed.splitlines() if line.startswith("{"))
    return json.loads(result)


def assert_close(ours, theirs, atol=2e-5):
    """Compare weights; a step is 0.01, and the sum over devices is rounded in another order."""
    assert ours["iterations"] == theirs["iterations"]
    for a, b in zip(ours["weights"], theirs["weights"], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_weights_of_one_device(name, trained):
    # The rounding of a compact state depends on the last bit of a gradient. The momentum may differ
    # by one spacing, which for codes is at most a sixtieth of 4 steps of 0.01.
    assert_close(
        trained[f"{name} sharded"],
        trained[f"{name} one"],
        5e-3 if name in ("bfloat16", "int8") else 2e-5,
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_each_device_keeps_a_fourth(name, trained):
    # The last bias has three numbers, which every device has. Every device also has the scales of
    # blocks.
    assert trained[f"{name} sharded"]["bytes_each"] < 0.28 * trained[f"{name} sharded"]["bytes"]


def test_whole_states_are_whole_on_each(trained):
    assert trained["whole"]["bytes_each"] == trained["whole"]["bytes"]
    assert_close(trained["whole"], trained["plain sharded"])


def test_files_load_on_another_number_of_devices(trained):
    assert_close(trained["on two"], trained["on one"])
    assert trained["on two"]["iterations"] == 2 * trained["plain one"]["iterations"]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has it")
def test_other_backends_are_refused():
    with pytest.raises(RuntimeError, match="needs the JAX backend"):
        keras_adam.distribution.DataParallel()


def test_bad_argument():
    with pytest.raises(TypeError, match="`shard_optimizer_state` must be True or False"):
        keras_adam.distribution.DataParallel(shard_optimizer_state=2)
