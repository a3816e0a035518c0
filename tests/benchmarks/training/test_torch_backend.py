"""The harness on Keras's PyTorch backend: `make test-torch`."""

import dataclasses

import keras
import numpy as np
import pytest

from benchmarks import device, worker
from benchmarks.environment import Checked, environment
from benchmarks.errors import InputError
from benchmarks.run import RunConfig
from benchmarks.training import replicas
from benchmarks.training.messages import Epoch, Finished
from benchmarks.updates import competitors, one_update, peers
from tests.benchmarks.data.loading import load

if keras.backend.backend() != "torch":
    pytest.skip("on PyTorch", allow_module_level=True)


@pytest.fixture
def torch_config(config: RunConfig) -> RunConfig:
    return dataclasses.replace(config, backend="torch", optimizer="keras_adam")


def test_a_run_learns_without_tensorflow(torch_config, data_dir):
    messages = list(
        worker.run(
            "benchmarks.training.one_run:train_model",
            *(torch_config, data_dir, None, None),
            backend="torch",
            device="cpu",
        )
    )
    end = messages[-1]
    assert isinstance(end, Finished), end
    assert end.row["status"] == "ok"
    assert end.row["test_accuracy"] > 0.5
    assert end.row["jit_compile"] is False
    assert end.row["peak_memory_mb"] > 0
    assert [m.row["steps"] for m in messages if isinstance(m, Epoch)] == [44]


def test_the_check_says_which_torch_there_is(torch_config, data_dir):
    (checked,) = worker.run(
        "benchmarks.training.one_run:check_runs",
        *([torch_config], "cpu", data_dir, None),
        backend="torch",
        device="cpu",
    )
    assert isinstance(checked, Checked)
    import torch

    assert checked.environment["backend_version"] == torch.__version__
    assert environment("torch")["tf32"] is None


def test_the_batches_are_those_of_jax(data_dir):
    first = [
        next(iter(load("digits", 32, 7, data_dir, backend=backend).train))
        for backend in ("jax", "torch")
    ]
    for one, other in zip(*first, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("option", ["devices", "steps_per_execution"])
def test_what_keras_cannot_do_on_torch_is_refused_in_a_line(torch_config, option):
    config = dataclasses.replace(torch_config, **{option: 2})
    with pytest.raises(InputError, match="on torch does one step at a time, on one device"):
        replicas.check_devices(config, "cpu")


def test_state_is_counted_in_bytes():
    optimizer = keras.optimizers.Adam()
    optimizer.build([keras.Variable(np.zeros((250, 1000)), dtype="float32")])
    assert device.megabytes_on_one(optimizer.variables) == pytest.approx(2.0, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    ["keras_adam", "torch_fused", "torch_foreach", "torch_loop", "torch_fused_adamw_clipped"],
)
def test_all_competitors_take_the_same_steps(text, monkeypatch):
    """Torch has another epsilon, but the gradients are far larger than both."""
    monkeypatch.setattr(peers, "CLIP_NORM", 1.0)
    shapes = [(20, 3), (7,)]
    ours = "keras_adamw(global_clipnorm=1.0)" if "clipped" in text else "adam"
    updates = [one_update.build(name, "eager", shapes, "cpu") for name in (ours, text)]
    for update in updates:
        for _ in range(3):
            update.start()
            update.wait()
    for one, other in zip(*(update.weights() for update in updates), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_training_step_is_that_of_fit():
    update = one_update.training_step.build(one_update.parse_optimizer("keras_adam"), "fit", "mlp")
    before = update.weights()
    update.start()
    assert any((a != b).any() for a, b in zip(before, update.weights(), strict=True))


def test_a_mode_that_torch_has_not_is_left_out():
    found, left_out = competitors.combine(["keras_adam"], ["eager", "xla"], "torch")
    assert [str(competitor) for competitor in found] == ["keras_adam eager"]
    assert left_out == ["keras_adam on torch has no mode xla, only eager, fit"]
