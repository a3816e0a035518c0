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


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_train_as_one(backend, tmp_path):
    optimizer = ("--optimizer", "keras_adam(global_clipnorm=0.5)", "--backend", backend)
    one, epoch_one = train(tmp_path / "one", *optimizer)
    two, epoch_two = train(tmp_path / "two", *optimizer, "--devices", "2")
    assert (one["devices"], two["devices"]) == (1, 2)
    assert one["run_id"] != two["run_id"]
    for column in ("train_loss", "test_loss"):
        # The sum over devices is rounded in another order. Other batches differ by a tenth.
        np.testing.assert_allclose(epoch_two[column], epoch_one[column], rtol=1e-3)
    # Of the images that a batch of each leaves over, all count, and once.
    assert abs(epoch_two["test_accuracy"] - epoch_one["test_accuracy"]) < 1.5 / 360


def test_each_device_keeps_its_share(tmp_path):
    options = ("--backend", "jax", "--optimizer", "keras_adam", "--devices", "4")
    whole, epoch_whole = train(tmp_path / "whole", *options)
    split, epoch_split = train(tmp_path / "split", *options, "--shard-optimizer-state")
    assert split["optimizer_state_mb"] < 0.3 * whole["optimizer_state_mb"]
    np.testing.assert_allclose(epoch_split["test_loss"], epoch_whole["test_loss"], rtol=1e-3)


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
        replicas.check(config, "gpu")
