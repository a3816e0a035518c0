"""On the JAX backend, a process that trains has no TensorFlow.

The workers import this file, so it does not import TensorFlow.
"""

import dataclasses
import sys

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

    def pass_on(message):
        send(message)
        if isinstance(message, Progress) and message.epoch == stop_in_epoch:
            raise KeyboardInterrupt

    try:
        one_run.train_model(config, data_dir, best_weights, backup_folder, pass_on)
    except KeyboardInterrupt:
        assert stop_in_epoch
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
def jax_config(config):
    return dataclasses.replace(
        config, model=TINY, backend="jax", epochs=4, validation=0.1, schedule="reduce-on-plateau"
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
        **{"schedule": "cosine", "max_steps": 5},
    )
    finished = messages_of(config, data_dir, tmp_path)[-1]
    assert finished.row["status"] == "ok", finished.row
    assert "data_wait_fraction" not in finished.row


def epochs_of(messages):
    columns = ("epoch", "steps", "train_loss", "val_loss", "test_accuracy", "learning_rate")
    return [[m.row[column] for column in columns] for m in messages if isinstance(m, Epoch)]


def test_several_steps_in_one_call_are_the_same_training(jax_config, whole, data_dir, tmp_path):
    config = dataclasses.replace(jax_config, steps_per_execution=10)
    ten = epochs_of(messages_of(config, data_dir, tmp_path))
    assert [row[1] for row in ten] == [40] * 4
    for row, other in zip(ten, epochs_of(whole), strict=True):
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


def test_a_damaged_image_is_named(jax_config, tmp_path):
    from PIL import Image

    for path in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / "images" / path).mkdir(parents=True)
        for number in range(4):
            Image.effect_noise((8, 8), 50).save(tmp_path / "images" / path / f"{number}.png")
    damaged = tmp_path / "images" / "train" / "b" / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    config = dataclasses.replace(
        jax_config,
        dataset=f"image_folder:{tmp_path / 'images'}",
        batch_size=2,
        validation=0.0,
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
