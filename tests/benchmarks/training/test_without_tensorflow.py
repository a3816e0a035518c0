"""On the JAX backend, a process that trains has no TensorFlow.

The workers import this file, so it does not import TensorFlow.
"""

import dataclasses
import sys

import numpy as np
import pytest

from benchmarks import worker
from benchmarks.training.messages import Epoch, Finished, Progress
from tests.benchmarks.conftest import run_command


def tensorflow_modules():
    return [
        name
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "tensorflow" and module is not None
    ]


def train(config, data_dir, best_weights, backup_folder, stop_in_epoch, send):
    """Do a run and send its messages, then the imported modules of TensorFlow."""
    from benchmarks.training import backup, monitor, one_run

    backup.SECONDS = 0
    monitor.PROGRESS_SECONDS = 0  # else an epoch may send none
    one_run.INFERENCES = 1

    def pass_on(message):
        send(message)
        if isinstance(message, Progress) and message.epoch == stop_in_epoch:
            raise KeyboardInterrupt

    try:
        one_run.train_model(config, data_dir, best_weights, backup_folder, pass_on)
    except KeyboardInterrupt:
        assert stop_in_epoch
    send(tensorflow_modules())


def pair():
    """Return the images and labels of `--dataset` with this function."""
    return np.zeros((10, 2, 2, 1), np.uint8), np.repeat([0, 1], 5)


def read(names, data_dir, send):
    """Read all batches of these data sets, then send the imported modules of TensorFlow."""
    from tests.benchmarks.data import loading

    with pytest.raises(ModuleNotFoundError, match="this process has no TensorFlow"):
        import tensorflow  # noqa: F401
    for name in names:
        loaded = loading.load(name, 2, 0, data_dir, backend="jax", validation=0.2, image_size=8)
        loaded.fill_caches()
        for split in (loaded.train, loaded.validation, loaded.test):
            assert len(list(split)) == len(split)
    send(tensorflow_modules())


def messages_of(config, data_dir, folder, stop_in_epoch=None):
    found = list(
        worker.run(
            f"{__name__}:train",
            *(config, data_dir, folder / "best.weights.h5", folder / "backup", stop_in_epoch),
            backend="jax",
            device="cpu",
            devices=config.devices,
            log=folder / "log",
        )
    )
    assert found[-1] == [], (found[-1], (folder / "log").read_text())
    return found[:-1]


TINY = "tests.benchmarks.tiny:dense"


@pytest.fixture(scope="module")
def jax_config(tiny_config):
    """Return a run with 35 steps an epoch; its batches fit its 144 and 360 other images."""
    return dataclasses.replace(
        tiny_config,
        **{"backend": "jax", "epochs": 4, "schedule": "reduce-on-plateau"},
        **{"batch_size": 36, "validation": 0.1003},
    )


@pytest.fixture(scope="module")
def whole(jax_config, data_dir, tmp_path_factory):
    """Return the messages of a run."""
    config = dataclasses.replace(jax_config, data_wait=True)
    return messages_of(config, data_dir, tmp_path_factory.mktemp("whole"))


def test_a_run_measures_what_it_measures_on_tensorflow(whole):
    assert isinstance(whole[-1], Finished)
    assert whole[-1].row["status"] == "ok", whole[-1].row
    assert 0 < whole[-1].row["data_wait_fraction"] < 1


def test_a_run_on_two_devices(jax_config, data_dir, tmp_path):
    config = dataclasses.replace(
        jax_config,
        **{"devices": 2, "optimizer": "keras_adam", "precision": "mixed_bfloat16"},
        **{"batch_size": 32, "validation": 0.1},  # the last batches are smaller
        **{"schedule": "cosine", "max_steps": 5},
    )
    finished = messages_of(config, data_dir, tmp_path)[-1]
    assert finished.row["status"] == "ok", finished.row
    assert "data_wait_fraction" not in finished.row


def epochs_of(messages):
    columns = ("epoch", "steps", "train_loss", "val_loss", "test_accuracy", "learning_rate")
    return [[m.row[column] for column in columns] for m in messages if isinstance(m, Epoch)]


def test_several_steps_in_one_call_are_the_same_training(jax_config, whole, data_dir, tmp_path):
    config = dataclasses.replace(jax_config, steps_per_execution=5)
    five = epochs_of(messages_of(config, data_dir, tmp_path))
    assert [row[1] for row in five] == [35] * 4
    for row, other in zip(five, epochs_of(whole), strict=True):
        assert row == pytest.approx(other, rel=1e-3)


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(
    jax_config, whole, data_dir, tmp_path
):
    messages_of(jax_config, data_dir, tmp_path, stop_in_epoch=3)
    parts = messages_of(jax_config, data_dir, tmp_path)
    assert next(m.epoch for m in parts if isinstance(m, Progress)) == 3
    expected, found = epochs_of(whole), epochs_of(parts)
    assert found[:2] == expected[:2]
    for row, other in zip(found[2:], expected[2:], strict=True):
        assert row == pytest.approx(other, rel=1e-5)


def test_from_the_command_line_in_a_new_folder(tmp_path):
    done = run_command(
        *("train", "--backend", "jax", "--dataset", "digits", "--model", TINY, "--seeds", "1"),
        *("--optimizer", "adam", "--epochs", "1", "--max-steps", "2", "--device", "cpu"),
        *("--data-dir", tmp_path / "data", "--output", tmp_path / "report"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") <= 1, done.stderr


@pytest.fixture
def pictures(tmp_path):
    """Return a folder with four images of noise for training and for testing."""
    from PIL import Image

    for path in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / "images" / path).mkdir(parents=True)
        for number in range(4):
            Image.effect_noise((8, 8), 50).save(tmp_path / "images" / path / f"{number}.png")
    return tmp_path / "images"


def test_every_kind_of_data_is_read(data_dir, pictures):
    names = ["digits", f"image_folder:{pictures}", f"{__name__}:pair"]
    (found,) = worker.run(f"{__name__}:read", names, data_dir, backend="jax", device="cpu")
    assert found == []


def test_a_damaged_image_is_named(jax_config, pictures, tmp_path):
    damaged = pictures / "train" / "b" / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    config = dataclasses.replace(
        jax_config, dataset=f"image_folder:{pictures}", batch_size=2, validation=0.0
    )
    *_, failure = worker.run(
        f"{__name__}:train",
        *(config, None, None, None, None),
        backend="jax",
        device="cpu",
        log=tmp_path / "log",
    )
    assert isinstance(failure, worker.Failure)
    assert str(damaged) in failure.error
