import re

import numpy as np
import pytest

from benchmarks import data, models, table, train
from benchmarks.config import InputError
from benchmarks.events import Checked, Epoch, Finished, Progress


def test_a_run_tells_its_progress_its_epochs_and_its_end(config, data_dir):
    messages = []
    train.run(config, data_dir, messages.append)
    progress, epoch, finished = messages[0], messages[-2], messages[-1]
    assert isinstance(progress, Progress)
    assert (progress.epoch, progress.steps) == (1, 44)
    assert isinstance(epoch, Epoch)
    assert epoch.row["steps"] == 44
    assert isinstance(finished, Finished)
    assert finished.row["status"] == "ok"
    assert finished.row["test_accuracy"] == epoch.row["test_accuracy"] > 0.5
    assert set(finished.row) <= set(table.RUNS)
    assert set(epoch.row) <= set(table.EPOCHS)


@pytest.mark.parametrize(
    ("divergence", "words"),
    [
        (float("nan"), "loss nan in epoch 1, step 1"),
        (1e9, r"loss \S+ in the last epoch; guessing has 2\.303"),
    ],
)
def test_a_diverged_run_leaves_blank_what_it_did_not_measure(
    config, data_dir, monkeypatch, divergence, words
):
    def build(*arguments):
        model = models.mlp(*arguments[1:3])
        model.layers[-1].bias.assign(np.where(np.arange(10) == 9, divergence, 0.0))
        return model

    monkeypatch.setattr(train.models, "build", build)
    monkeypatch.setattr(train.optimizers, "build", lambda *_: "sgd")
    messages = []
    train.run(config, data_dir, messages.append)
    row = messages[-1].row
    assert row["status"] == "diverged"
    assert re.fullmatch(words, row["error"])
    assert row.keys() & {"images_per_second", "step_ms_p50", "test_accuracy"} == set()


def test_the_check_prepares_the_data_and_says_where_it_runs(tmp_path):
    messages = []
    train.check(["adam"], ["digits"], 32, "tensorflow", "cpu", tmp_path, None, messages.append)
    (checked,) = messages
    assert isinstance(checked, Checked)
    assert checked.device == "cpu"
    assert set(checked.environment) == set(table.ENVIRONMENT) - {"started_at"}
    assert data.load("digits", 32, 0, tmp_path).classes == 10


@pytest.mark.parametrize(
    ("spec", "dataset", "batch_size", "message"),
    [
        ("adam(beta_1=high)", "digits", 32, "beta_1=high"),
        ("adam", "digits", 1438, "--batch-size 1438"),
        ("adam", "digit", 32, "did you mean digits"),
    ],
)
def test_the_check_finds_what_would_fail_in_every_run(data_dir, spec, dataset, batch_size, message):
    with pytest.raises(InputError, match=message):
        train.check(
            [spec], [dataset], batch_size, "tensorflow", "cpu", data_dir, None, lambda _: None
        )
