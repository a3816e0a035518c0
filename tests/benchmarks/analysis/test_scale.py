"""Thousands of runs in one folder: a nightly sweep after a year."""

import cProfile
import itertools
import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.analysis import comparison
from benchmarks.commands import compare
from benchmarks.reports import contents, plots
from benchmarks.store import schema

EPOCHS = 5
OPTIMIZERS = ["adam", "keras_adam", "sgd", "nesterov", "rmsprop"]


def write(folder, problems, optimizers, seeds):
    generator = np.random.default_rng(0)
    keys = list(itertools.product(range(problems), range(seeds), range(optimizers)))
    n = len(keys)
    problem, seed, optimizer = (np.array(k) for k in zip(*keys, strict=True))
    names = [*OPTIMIZERS, *(f"adam(beta_1=0.{k})" for k in range(1, optimizers))]
    speed = 500 * np.exp(generator.normal(0, 0.03, n)) * (1 + 0.1 * (optimizer == 1))
    accuracy = np.round(0.9 + generator.normal(0, 0.005, n), 4)
    ok = generator.random(n) > 0.01
    steps = 468 * generator.integers(5, 9, n)
    columns = {
        "run_id": [f"{k:012x}" for k in range(n)],
        "status": np.where(ok, "ok", "diverged"),
        "error": np.where(ok, None, "loss nan in epoch 3, step 7"),
        "dataset": [f"dataset_{k}" for k in problem],
        "model": "2c2d",
        "optimizer": [names[k] for k in optimizer],
        "seed": seed,
        "backend": "tensorflow",
        "device": "cpu",
        "jit_compile": False,
        "batch_size": 128,
        "learning_rate": 0.001,
        "schedule": "constant",
        "epochs": EPOCHS,
        "target_accuracy": 0.9,
        "started_at": "2026-01-01T00:00:00+00:00",
        **{
            column: np.where(ok, values, np.nan)
            for column, values in {
                "images_per_second": speed,
                "step_ms_p50": 128e3 / speed,
                "step_ms_p90": 150e3 / speed,
                "step_ms_p99": 200e3 / speed,
                "test_accuracy": accuracy,
                "best_test_accuracy": accuracy,
                "steps_to_target": steps,
                "seconds_to_target": steps / 10,
            }.items()
        },
    }
    runs = pd.DataFrame(columns, columns=list(schema.RUNS)).astype(dict(schema.RUNS))
    runs.to_csv(folder / "runs.csv", index=False, float_format="%.6g")
    epoch = np.tile(np.arange(1, EPOCHS + 1), n)
    columns = {
        "run_id": np.repeat(runs["run_id"].to_numpy(object), EPOCHS),
        "epoch": epoch,
        "steps": 468,
        "seconds": 1.0,
        "learning_rate": 0.001,
        "train_loss": 2 / epoch,
        "test_loss": 2.1 / epoch,
        "test_accuracy": np.repeat(accuracy, EPOCHS) - 0.3 / epoch,
    }
    epochs = pd.DataFrame(columns, columns=list(schema.EPOCHS)).astype(dict(schema.EPOCHS))
    epochs.to_csv(folder / "epochs.csv", index=False, float_format="%.6g")


def work(function, *arguments):
    """Count the calls of functions, of Python and of C; unlike seconds they are alike anywhere."""
    profile = cProfile.Profile()
    profile.runcall(function, *arguments)
    return sum(entry.callcount for entry in profile.getstats())


FEWEST = {"problems": 10, "optimizers": 25, "seeds": 50}
MOST_CALLS = 15_000
"""For each run; a frame of pandas for each optimizer and problem would need as many again."""


@pytest.mark.parametrize("kind", FEWEST)
def test_the_work_grows_no_faster_than_the_runs(tmp_path, monkeypatch, capsys, kind):
    """Of twenty thousand it took 22 to 123 s to compare them, and 118 to 420 s to report them."""
    for plot in ("curves", "percentiles"):  # whose number is limited
        monkeypatch.setattr(plots, plot, lambda *_, **__: "<svg/>")
    compared, reported = [], []
    write(tmp_path, problems=1, optimizers=2, seeds=2)
    contents.write(tmp_path)  # the first call imports and fills caches
    for times in (1, 2, 4):
        sizes = {"problems": 1, "optimizers": 2, "seeds": 2} | {kind: times * FEWEST[kind]}
        write(tmp_path, **sizes)
        compared.append(work(comparison.within, tmp_path))
        reported.append(work(contents.write, tmp_path))
    runs = math.prod(sizes.values())
    for one, two, four in (compared, reported):
        # Twice as much, and a tenth for chance; it would be four times if it were quadratic.
        assert four - two < 2.5 * (two - one) + 0.1 * one
        assert four < MOST_CALLS * runs
    compare.compare.callback((tmp_path,))
    text, page = capsys.readouterr().out, (tmp_path / "report.html").read_text()
    assert len(text.splitlines()) < 400
    assert "keras_adam" in text
    assert len(page) < 1e6
    # keras_adam's tenth is found; among hundreds of comparisons, two seeds are too few for it.
    assert ("difference: faster" in page) == (kind == "seeds")
    assert ("Results of all 40 problems" in page) == (kind == "problems")
