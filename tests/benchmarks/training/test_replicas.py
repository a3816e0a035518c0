"""`--devices`: several logical devices train as one does on the same batches."""

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks.conftest import run_command


def train(folder, *options):
    done = run_command(
        *("train", "--dataset", "digits", "--model", "mlp", "--device", "cpu", "--seeds", "1"),
        *("--epochs", "1", "--max-steps", "20", "--output", str(folder), *options),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return pd.read_csv(folder / "runs.csv").iloc[0], pd.read_csv(folder / "epochs.csv").iloc[-1]


OPTIMIZER = ("--optimizer", "keras_adam(global_clipnorm=0.5)")


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory):
    """Runs of one configuration: on one device, on two, and on two with split states."""
    folder = tmp_path_factory.mktemp("jax")
    options = (*OPTIMIZER, "--backend", "jax", "--devices")
    return {
        "one": train(folder / "one", *options, "1"),
        "two": train(folder / "two", *options, "2"),
        "split": train(folder / "split", *options, "2", "--shard-optimizer-state"),
    }


def assert_same(one, another):
    # The sum over devices is rounded in another order. Other batches differ by a tenth.
    for column in ("train_loss", "test_loss"):
        np.testing.assert_allclose(another[1][column], one[1][column], rtol=1e-3)
    # Of the images that a batch of each leaves over, all count, and once.
    assert abs(another[1]["test_accuracy"] - one[1]["test_accuracy"]) < 1.5 / 360


def test_two_devices_train_as_one_on_tensorflow(tmp_path):
    one, two = train(tmp_path / "one", *OPTIMIZER), train(tmp_path / "2", *OPTIMIZER, "--devices=2")
    assert (one[0]["devices"], two[0]["devices"]) == (1, 2)
    assert one[0]["run_id"] != two[0]["run_id"]
    assert_same(one, two)


def test_two_devices_train_as_one_on_jax(on_jax):
    assert_same(on_jax["one"], on_jax["two"])


def test_each_device_keeps_its_share(on_jax):
    assert_same(on_jax["one"], on_jax["split"])
    whole, split = (on_jax[name][0]["optimizer_state_mb"] for name in ("two", "split"))
    assert split < 0.6 * whole


def test_the_last_of_several_steps_in_one_call_takes_what_the_epoch_has(tmp_path):
    # 44 steps are five calls of eight and one of four.
    options = ("--epochs", "2", "--max-steps", "88", "--optimizer", "adam")
    one = train(tmp_path / "one", *options)
    two = train(tmp_path / "two", *options, "--devices", "2", "--steps-per-execution", "8")
    assert one[1]["epoch"] == two[1]["epoch"] == 2
    assert_same(one, two)


def test_a_batch_that_does_not_divide(tmp_path):
    done = run_command(
        "train", "--devices", "3", "--device", "cpu", "--output", str(tmp_path / "new")
    )
    assert done.returncode == 2
    assert "--batch-size 32: 32 images cannot be shared among 3 devices" in done.stderr


def test_more_gpus_than_there_are(monkeypatch):
    from benchmarks.errors import InputError
    from benchmarks.run import RunConfig
    from benchmarks.training import replicas

    config = RunConfig(
        dataset="digits",
        model="mlp",
        optimizer="adam",
        seed=0,
        backend="jax",
        device="gpu",
        jit_compile="auto",
        batch_size=32,
        learning_rate=1e-3,
        epochs=1,
        devices=4,
    )
    monkeypatch.setattr(replicas.device_names, "gpu_names", lambda backend: ["one"])
    with pytest.raises(InputError, match="sees 1 on this machine; to try it out, --device cpu"):
        replicas.check_devices(config, "gpu")
