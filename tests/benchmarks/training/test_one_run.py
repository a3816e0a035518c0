import dataclasses
import re
import shutil

import keras
import numpy as np
import pytest

from benchmarks import machine, models
from benchmarks.data import batches
from benchmarks.environment import Checked
from benchmarks.errors import InputError
from benchmarks.store import schema
from benchmarks.training import backup, monitor, one_run
from benchmarks.training.messages import Epoch, Finished, Progress
from tests.benchmarks import tiny


@pytest.fixture(scope="module", autouse=True)
def one_inference_and_all_progress():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_run, "INFERENCES", 1)
        patch.setattr(monitor, "PROGRESS_SECONDS", 0)  # else a fast epoch sends none
        yield


@pytest.fixture(scope="module")
def config(tiny_config):
    """Return a run that takes the least time."""
    return dataclasses.replace(tiny_config, optimizer="momentum", learning_rate=0.05)


def epochs_and_end(config, data_dir, best_weights=None):
    messages = []
    one_run.train_model(config, data_dir, best_weights, None, messages.append)
    return [m.row for m in messages if isinstance(m, Epoch)], messages[-1].row


@pytest.fixture(scope="module")
def whole(config, data_dir, tmp_path_factory):
    """Return the messages of a run, and the folder of its backup."""
    config = dataclasses.replace(config, epochs=3, target_accuracy=0.8)
    folder, messages = tmp_path_factory.mktemp("whole"), []
    one_run.train_model(config, data_dir, None, folder / "run.backup", messages.append)
    return messages, folder


def test_a_run_tells_its_progress_its_epochs_and_its_end(whole):
    messages, _ = whole
    progress, epoch, finished = messages[0], messages[-2], messages[-1]
    assert isinstance(progress, Progress)
    assert (progress.epoch, progress.steps) == (1, 44)
    assert isinstance(epoch, Epoch)
    assert epoch.row["steps"] == 44
    assert isinstance(finished, Finished)
    assert finished.row["status"] == "ok"
    assert finished.row["test_accuracy"] == epoch.row["test_accuracy"] > 0.8
    assert set(finished.row) <= set(schema.RUNS)
    assert set(epoch.row) <= set(schema.EPOCHS)
    assert finished.row["inference_ms_p50"] > 0


def test_how_long_it_takes_to_the_target(whole):
    messages, _ = whole
    epochs, end = [m.row for m in messages if isinstance(m, Epoch)], messages[-1].row
    reached = next(row["epoch"] for row in epochs if row["test_accuracy"] >= 0.8)
    assert end["steps_to_target"] == 44 * reached
    assert end["seconds_to_target"] == sum(row["seconds"] for row in epochs[:reached])
    assert "data_wait_fraction" not in end


def test_a_young_backup_is_enough(whole):
    assert list(whole[1].iterdir()) == []


def test_several_steps_in_one_call_are_the_same_training(config, whole, data_dir):
    """The time that training waits for data is measured, too."""
    config = dataclasses.replace(config, epochs=2, steps_per_execution=10, data_wait=True)
    ten, end = epochs_and_end(config, data_dir)
    one = [m.row for m in whole[0] if isinstance(m, Epoch)]
    for row, other in zip(ten, one[:2], strict=True):
        assert row["steps"] == 44
        assert row["test_loss"] == pytest.approx(other["test_loss"], rel=1e-3)
    assert end["step_ms_p50"] > 0
    assert 0 < end["data_wait_fraction"] < 1


def test_what_was_not_measured_is_blank_and_the_reason_is_told(config, data_dir):
    config = dataclasses.replace(config, target_accuracy=1.0, steps_per_execution=1000)
    _, end = epochs_and_end(config, data_dir)
    assert "steps_to_target" not in end
    assert "images_per_second" not in end
    assert end["status"] == "ok"
    assert "no throughput: the first call, of all steps, is warm-up" in end["error"]


@pytest.fixture(scope="module")
def held_out(config, data_dir, tmp_path_factory):
    """Return a configuration with a validation split, its messages, and its best weights."""
    config = dataclasses.replace(
        config,
        **{"dataset": "digits", "epochs": 3, "validation": 0.1, "schedule": "cosine"},
        target_accuracy=0.5,
    )
    best = tmp_path_factory.mktemp("held_out") / "best.weights.h5"
    return config, *epochs_and_end(config, data_dir, best), best


def test_the_weights_with_the_best_validation_accuracy_are_kept(held_out, data_dir):
    config, epochs, _, best = held_out
    digits = batches.load(config, data_dir)
    model = models.build(config.model, (8, 8, 1), 10, seed=1)
    model.load_weights(best)
    model.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
    measured = model.evaluate(digits.validation, return_dict=True, verbose=0)
    assert measured["accuracy"] == max(row["val_accuracy"] for row in epochs)
    assert [path.name for path in best.parent.iterdir()] == ["best.weights.h5"]

    # A run from these weights, with a rate of almost 0, is as good from the start.
    config = dataclasses.replace(
        config, weights=str(best), epochs=1, max_steps=1, learning_rate=1e-30
    )
    (epoch,), _ = epochs_and_end(config, data_dir)
    assert epoch["val_accuracy"] == measured["accuracy"]


def test_mixed_precision(config, data_dir):
    policy = keras.config.dtype_policy()
    try:
        config = dataclasses.replace(config, precision="mixed_bfloat16")
        _, end = epochs_and_end(config, data_dir)
    finally:
        keras.config.set_dtype_policy(policy)
    assert end["test_accuracy"] > 0.5


@pytest.mark.parametrize(
    ("divergence", "words"),
    [
        (float("nan"), "loss nan in epoch 1, step 1"),
        (1e9, r"loss \S+ after the last epoch; guessing has 2\.303"),
    ],
)
def test_a_diverged_run_leaves_blank_what_it_did_not_measure(
    config, data_dir, monkeypatch, divergence, words
):
    def build(*arguments):
        model = tiny.dense(*arguments[1:3])
        model.layers[-1].bias.assign(np.where(np.arange(10) == 9, divergence, 0.0))
        return model

    monkeypatch.setattr(one_run.models, "build", build)
    monkeypatch.setattr(one_run.optimizers, "build", lambda *_: "sgd")
    _, row = epochs_and_end(dataclasses.replace(config, max_steps=2), data_dir)
    assert row["status"] == "diverged"
    assert re.fullmatch(words, row["error"])
    assert row.keys() & {"images_per_second", "step_ms_p50", "test_accuracy"} == set()


def test_a_short_first_epoch_with_absurd_steps_is_no_divergence():
    # Seven steps: the mean loss is far too large, the final loss is not.
    last = {"train_loss": 31.0, "test_loss": 0.79}
    assert one_run._divergence(last, classes=10) == ""
    assert one_run._divergence(last | {"test_loss": 31.0}, classes=10) != ""
    # A model that has memorised the training images may be confident and wrong on others.
    assert one_run._divergence({"train_loss": 0.01, "test_loss": 31.0}, classes=10) == ""
    assert one_run._divergence({"train_loss": 0.01, "test_loss": np.nan}, classes=10) != ""


def interrupted_and_resumed(config, data_dir, folder):
    """Return the messages of a run that continues after it was stopped in its third epoch."""

    def interrupt(message):
        if isinstance(message, Progress) and message.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one_run.train_model(config, data_dir, None, folder, interrupt)
    messages = []
    one_run.train_model(config, data_dir, None, folder, messages.append)
    assert next(m.epoch for m in messages if isinstance(m, Progress)) == 3
    assert [m.restored for m in messages if isinstance(m, Epoch)][:3] == [True, True, False]
    return [m.row for m in messages if isinstance(m, Epoch)], messages[-1].row


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(
    held_out, data_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(backup, "SECONDS", 0)
    seconds = iter([100.0, 200.0, 300.0])
    monkeypatch.setattr(machine, "process_seconds", lambda: next(seconds))
    config, expected, expected_end, _ = held_out
    epochs, end = interrupted_and_resumed(config, data_dir, tmp_path / "run.backup")
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    for row, other in zip(epochs, expected, strict=True):
        for column in ("train_loss", "val_loss", "test_accuracy", "learning_rate", "steps"):
            assert row[column] == pytest.approx(other[column], rel=1e-3)
    rates = [row["learning_rate"] for row in epochs]
    assert rates == pytest.approx([0.0375, 0.0125, 0], abs=1e-8)
    assert end["train_seconds"] == sum(row["seconds"] for row in epochs)
    assert end["steps_to_target"] == expected_end["steps_to_target"]
    assert (expected_end["wall_seconds"], end["wall_seconds"]) == (0, 200)
    assert [path.name for path in tmp_path.iterdir()] == ["run.backup"]


def test_the_rate_falls_where_the_validation_loss_stands_still(
    config, data_dir, tmp_path, monkeypatch
):
    """An interrupted run does the same, because it keeps the best loss and the rate."""
    monkeypatch.setattr(backup, "SECONDS", 0)
    monkeypatch.setitem(one_run.PLATEAU, "patience", 1)
    monkeypatch.setattr(one_run, "LEAST_RATE", 0.1)
    config = dataclasses.replace(
        config, epochs=4, schedule="reduce-on-plateau", validation=0.1, learning_rate=1e-30
    )
    epochs, _ = interrupted_and_resumed(config, data_dir, tmp_path / "run.backup")
    assert [row["learning_rate"] for row in epochs] == pytest.approx([1e-30, 1e-30, 2e-31, 1e-31])


def test_so_many_steps_and_no_more_after_a_warm_up(config, data_dir):
    config = dataclasses.replace(config, epochs=9, max_steps=60, schedule="cosine", warmup_steps=30)
    epochs, end = epochs_and_end(config, data_dir)
    assert [row["steps"] for row in epochs] == [44, 16]
    rates = [0.05 * (1 + np.cos(np.pi * 14 / 30)) / 2, 0]
    assert [row["learning_rate"] for row in epochs] == pytest.approx(rates, abs=1e-8)
    assert end["status"] == "ok"


def test_the_rate_rises_in_the_warm_up(config):
    rate = one_run._optimizer(dataclasses.replace(config, warmup_steps=66), 88)._learning_rate
    found = [float(rate(step)) for step in (0, 44, 66, 80)]
    assert found == pytest.approx([0, 0.05 * 44 / 66, 0.05, 0.05], abs=1e-8)


def test_training_stops_at_the_target_on_the_images_held_out(config, data_dir):
    config = dataclasses.replace(
        config,
        **{"epochs": 9, "validation": 0.1, "learning_rate": 0.01},
        **{"target_accuracy": 0.85, "stop_at_target": True},
    )
    epochs, end = epochs_and_end(config, data_dir)
    assert [row["val_accuracy"] >= 0.85 for row in epochs] == [*[False] * (len(epochs) - 1), True]
    assert 1 < len(epochs) < 9
    assert end["steps_to_target"] == sum(row["steps"] for row in epochs)


def test_a_damaged_image_is_named(config, tmp_path):
    for path in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / path).mkdir(parents=True)
        for number in range(4):
            keras.utils.save_img(tmp_path / path / f"{number}.png", np.zeros((8, 8, 3)))
    damaged = tmp_path / "train" / "b" / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:30])
    config = dataclasses.replace(config, dataset=f"image_folder:{tmp_path}", batch_size=2)
    with pytest.raises(InputError, match=str(damaged)):
        one_run.train_model(config, None, None, None, lambda _: None)


@pytest.mark.parametrize("validation", [0.0, 0.1])
def test_a_damaged_tfrecord_is_named(config, data_dir, tmp_path, validation):
    shutil.copytree(data_dir / "digits", tmp_path / "digits")
    (shard,) = tmp_path.glob("digits/*/digits-train.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-100])
    (tmp_path / "digits" / "1.0.0" / "labels-train.npy").unlink(missing_ok=True)
    config = dataclasses.replace(config, dataset="digits", validation=validation)
    with pytest.raises(InputError, match=f"{shard}: damaged after record 143.*data verify"):
        one_run.train_model(config, tmp_path, None, None, lambda _: None)


def test_the_check_prepares_the_data_and_says_where_it_runs(config, tmp_path):
    messages = []
    config = dataclasses.replace(config, dataset="digits")
    one_run.check_runs([config], "cpu", tmp_path, None, messages.append)
    (checked,) = messages
    assert isinstance(checked, Checked)
    assert checked.device == "cpu"
    assert set(checked.environment) == set(schema.ENVIRONMENT) - {"started_at"}
    assert batches.load(config, tmp_path).classes == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adam(beta_1=high)"}, "beta_1=high"),
        ({"batch_size": 1438}, "batch_size 1438: .*images has only 1437"),
        ({"dataset": "digit"}, "did you mean digits"),
        ({"weights": __file__}, "weights '.*test_one_run.py': not for .*dense on .*images"),
        ({"model": "nowhere:model"}, "'nowhere:model': ModuleNotFoundError"),
        ({"validation": 0.0001}, "validation 0.0001: .*images has only 1437"),
    ],
)
def test_the_check_finds_what_would_fail_in_every_run(config, data_dir, change, message):
    with pytest.raises(InputError, match=message):
        one_run.check_runs(
            [dataclasses.replace(config, **change)], "cpu", data_dir, None, lambda _: None
        )
