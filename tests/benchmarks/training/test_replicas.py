"""`--devices`: several logical devices train like one device on the same batches."""

import dataclasses

import numpy as np
import pytest

from benchmarks import worker
from benchmarks.errors import InputError
from benchmarks.training import replicas
from benchmarks.training.messages import Epoch, Finished
from tests.benchmarks.conftest import run_command


@pytest.fixture(scope="module")
def train(tiny_config, data_dir, tmp_path_factory):
    """A function that does a run in a process; it returns the rows of its end and last epoch."""

    def run(**options):
        of_all = {"epochs": 2, "max_steps": 88}
        clipped = "keras_adam(global_clipnorm=0.5)"
        run_config = dataclasses.replace(tiny_config, optimizer=clipped, **of_all, **options)
        log = tmp_path_factory.mktemp("train") / "log"
        messages = list(
            worker.run(
                "benchmarks.training.one_run:train_model",
                *(run_config, data_dir, None, None),
                backend=run_config.backend,
                device="cpu",
                devices=run_config.devices,
                log=log,
            )
        )
        assert isinstance(messages[-1], Finished), (messages[-1], log.read_text())
        assert isinstance(messages[-2], Epoch)
        assert messages[-2].row["epoch"] == 2
        return messages[-1].row, messages[-2].row

    return run


def assert_same(one, another):
    # The sum over devices is rounded in another order. Other batches differ by a tenth.
    for column in ("train_loss", "test_loss"):
        np.testing.assert_allclose(another[1][column], one[1][column], rtol=1e-3)
    # The images that do not fill a batch for all devices count, too, and once.
    assert abs(another[1]["test_accuracy"] - one[1]["test_accuracy"]) < 1.5 / 360


def test_two_devices_train_as_one_on_tensorflow(train):
    """With several steps in one call, the last one takes what is left: 44 are five of 8, and 4."""
    assert_same(train(), train(devices=2, steps_per_execution=8))


def test_two_devices_train_as_one_on_jax_and_each_keeps_its_share(train):
    one = train(backend="jax")
    split = train(backend="jax", devices=2, shard_optimizer_state=True)
    assert_same(one, split)
    assert split[0]["optimizer_state_mb"] < 0.6 * one[0]["optimizer_state_mb"]


def test_a_batch_that_does_not_divide(tmp_path):
    done = run_command(
        "train", "--devices", "3", "--device", "cpu", "--output", str(tmp_path / "new")
    )
    assert done.returncode == 2
    assert "--batch-size 32: 32 images cannot be shared among 3 devices" in done.stderr


def test_more_gpus_than_there_are(config, monkeypatch):
    monkeypatch.setattr(replicas.device_names, "gpu_names", lambda backend: ["one"])
    with pytest.raises(InputError, match="sees 1 on this machine; for a try, --device cpu"):
        replicas.check_devices(dataclasses.replace(config, devices=4), "gpu")
