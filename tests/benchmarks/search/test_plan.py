import dataclasses
import json
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import worker
from benchmarks.__main__ import main
from benchmarks.analysis import comparison, trials
from benchmarks.environment import Checked
from benchmarks.errors import InputError
from benchmarks.reports import contents, page
from benchmarks.run import parse_optimizer
from benchmarks.search import draws
from benchmarks.search.plan import finalists, plan_trials, rows
from benchmarks.store import csv_file, schema
from benchmarks.sweeps import plan as sweep_plan
from benchmarks.training.messages import Epoch, Finished

RATES = (1e-4, 1.0)


def plan(config, *texts, count=5, seed=0):
    problem = dataclasses.replace(config, seed=seed, validation=0.1)
    return plan_trials([parse_optimizer(text) for text in texts], RATES, count, [problem])


def test_every_optimizer_has_the_same_trials(config):
    planned = plan(config, "adam", "sgd")
    assert [trial.number for trial in planned] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    adam, sgd = ([t for t in planned if t.optimizer.startswith(name)] for name in ("adam", "sgd"))
    rates = [trial.config.learning_rate for trial in adam]
    assert rates == [trial.config.learning_rate for trial in sgd]
    assert len(set(rates)) == 5
    assert all(RATES[0] <= rate <= RATES[1] for rate in rates)
    assert adam[0].optimizer == "adam(learning_rate=[0.0001, 1.0])"
    assert adam[0].config.optimizer == "adam"


def test_the_seed_sets_the_draws_and_a_larger_budget_begins_with_the_same(config):
    assert plan(config, "adam") == plan(config, "adam", count=9)[:5]
    assert plan(config, "adam")[0].parameters != plan(config, "adam", seed=1)[0].parameters


def test_a_wide_range_is_searched_on_a_logarithmic_scale():
    searched = draws.space(parse_optimizer("adam(learning_rate=[1e-4, 1], beta_1=[0.5, 1.0])"))
    drawn = pd.DataFrame(draws.draw(searched, 400, seed=0))
    assert np.median(drawn["learning_rate"]) == pytest.approx(1e-2, rel=0.5)
    assert np.median(drawn["beta_1"]) == pytest.approx(0.75, abs=0.05)


def test_choices_and_whole_numbers_and_what_is_fixed(config):
    planned = plan(config, "sgd(learning_rate=0.1, nesterov=[True, False], momentum=0.9)", count=20)
    assert {trial.config.learning_rate for trial in planned} == {0.1}
    assert {trial.config.optimizer for trial in planned} == {
        f"sgd(momentum=0.9, nesterov={value})" for value in (True, False)
    }
    searched = draws.space(parse_optimizer("adam(ema_overwrite_frequency=[1, 9])"))
    assert {type(d["ema_overwrite_frequency"]) for d in draws.draw(searched, 3, 0)} == {int}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adam(learning_rate=0.1)", "nothing to search"),
        ("adam(learning_rate=[1, 0.1])", r"learning_rate: 1 to 0\.1 is not a range"),
        ("adam(learning_rate=[0, 0.1])", r"learning_rate: 0 to 0\.1 is not a range"),
        ("adam(beta_1=[0.9])", "beta_1 needs two ends"),
    ],
)
def test_what_is_no_search_is_refused(config, text, message):
    with pytest.raises(InputError, match=message):
        plan(config, text)


def test_a_search_from_the_command_line_to_its_report(command, monkeypatch, tmp_path):
    real, said = worker.run, {}

    def run_once(function, *arguments, **options):
        """Check once and train once, and then say the same again."""
        if function not in said:
            said[function] = list(real(function, *arguments, **options))
        yield from said[function]

    monkeypatch.setattr(worker, "run", run_once)
    folder = tmp_path / "search"
    arguments = (
        *("tune", "--model", "tests.benchmarks.tiny:dense", "--epochs", 1, "--device", "cpu"),
        *("--optimizer", "adam", "--dataset", "tests.benchmarks.tiny:images"),
        *("--output", folder, "--resume", "--trials"),
    )
    done = command(*arguments, 1)
    assert done.returncode == 0, done.stderr
    done = command(*arguments, 2)
    assert done.returncode == 0, done.stderr
    assert "Runs that have a result already: 1 of 2." in done.stdout
    found = pd.read_csv(folder / "trials.csv")
    runs = pd.read_csv(folder / "runs.csv").set_index("run_id")
    assert list(found["trial"]) == [0, 1]
    assert set(found["run_id"]) == set(runs.index)
    assert set(found["optimizer"]) == {"adam(learning_rate=[1e-05, 1.0])"}
    for row in found.itertuples():
        rate = json.loads(row.parameters)["learning_rate"]
        assert runs["learning_rate"][row.run_id] == rate
    best = trials.best(found)
    assert f"learning_rate={json.loads(best['parameters'])['learning_rate']!r}" in done.stdout

    files = [block.file for block in contents.blocks(folder) if isinstance(block, page.Plot)]
    assert files == ["learning-rate-accuracy-1.svg", "best-of-k-1.svg"]


@pytest.mark.parametrize("count", [4, 16, 20])
def test_the_draws_cannot_cluster(count):
    """With random draws, the largest gap between twenty rates is a sixth of the range."""
    searched = draws.space(parse_optimizer("adam(learning_rate=[1e-4, 1])"))
    for seed in range(20):
        rates = np.array([d["learning_rate"] for d in draws.draw(searched, count, seed)])
        places = np.sort(np.log(rates / 1e-4) / np.log(1e4))
        gaps = np.diff(places, prepend=0, append=1)
        whole = 2 ** int(np.log2(count))
        assert gaps.max() <= 2 / whole + 1e-3
        # Each of 2^m equal parts of the range has one of the first 2^m draws.
        first = np.log(rates[:whole] / 1e-4) / np.log(1e4)
        assert len(set(np.floor(first * whole - 1e-9))) == whole


def test_the_rates_are_the_same_whatever_else_is_searched(config):
    planned = plan(config, "adam", "sgd(momentum=[0.5, 0.9], nesterov=[True, False])")
    adam, sgd = ([t for t in planned if t.optimizer.startswith(name)] for name in ("adam", "sgd"))
    assert [t.config.learning_rate for t in adam] == [t.config.learning_rate for t in sgd]


def test_finalists_get_seeds_that_the_search_has_not_seen(config):
    planned = plan(config, "adam", "sgd", count=4)
    found = pd.DataFrame(rows(planned), columns=list(schema.TRIALS)).astype(dict(schema.TRIALS))
    found["status"] = "ok"
    found["val_accuracy"] = [0.1 * (k % 5) for k in range(8)]
    finals = finalists(planned, found, 2, 3)
    assert len(finals) == 2 * 2 * 3
    assert {trial.config.seed for trial in finals} == {1, 2, 3}
    adam = {trial.number for trial in finals if trial.optimizer.startswith("adam")}
    by_trial = found[found["optimizer"].str.startswith("adam")].set_index("trial")["val_accuracy"]
    assert adam == set(by_trial.astype(float).nlargest(2).index)


def instant_training(function, *arguments, **_):
    """Replace `worker.run`; a run is more accurate if its rate is nearer to 0.01."""
    if ":check" in function:
        yield Checked("cpu", {})
        return
    config = arguments[0]
    accuracy = 0.9 - 0.1 * abs(np.log10(config.learning_rate / 0.01)) - 0.001 * config.seed
    yield Epoch({"epoch": 1, "val_accuracy": accuracy, "test_accuracy": accuracy})
    yield Finished({"status": "ok", "jit_compile": False, "test_accuracy": accuracy})


def test_finalists_winner_and_training_from_it(monkeypatch, tmp_path):
    """The command line without training."""
    monkeypatch.setattr(worker, "run", instant_training)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
        return main()

    folder = tmp_path / "search"
    assert not command(
        *("tune", "--model", "mlp", "--epochs", 1, "--optimizer", "adam", "--batch-size", 64),
        *("--trials", 3, "--finalists", 2, "--finalist-seeds", 2, "--output", folder),
    )
    found = pd.read_csv(folder / "trials.csv")
    assert found.groupby("trial").size().sort_values().tolist() == [1, 3, 3]
    assert len((folder / "command.txt").read_text().splitlines()) == 1
    winner = trials.best(found)
    assert winner["seeds"] == 2
    with pytest.raises(InputError, match="nothing to compare"):  # its trials are no optimizers
        comparison.within(folder)
    assert "further seeds" in contents_text(folder)

    again = tmp_path / "again"
    assert not command("train", "--from-tune", folder, "--seeds", 1, "--output", again)
    (run,) = pd.read_csv(again / "runs.csv").itertuples()
    assert run.learning_rate == json.loads(winner["parameters"])["learning_rate"]
    assert (run.batch_size, run.epochs, run.model, run.seed) == (64, 1, "mlp", 0)

    # The search has held out images, so there are validation images, but not with 0.
    from_tune = ("train", "--from-tune", folder, "--seeds", 1, "--save-weights", "--output")
    assert not command(*from_tune, tmp_path / "weights")
    assert command(*from_tune, tmp_path / "none", "--validation", 0) == 2
    assert not (tmp_path / "none").exists()


def test_the_winners_are_trained_there_and_back(config):
    configs = [dataclasses.replace(config, optimizer=name) for name in ("adam", "sgd")]
    again = sweep_plan.again(configs, 3, epochs=7)
    assert [(c.seed, c.optimizer) for c in again] == [
        *((0, "adam"), (0, "sgd"), (1, "sgd"), (1, "adam"), (2, "adam"), (2, "sgd")),
    ]
    assert {c.epochs for c in again} == {7}


def contents_text(folder):
    return page.to_markdown(contents.blocks(folder))


def test_a_search_that_was_killed_can_be_read(config, tmp_path):
    """An earlier version took its trials for forty optimizers, because trials.csv was written
    last."""
    planned = plan(config, "adam", "sgd", count=4)
    done = planned[:5]
    runs = [
        {
            **{k: v for k, v in dataclasses.asdict(t.config).items() if k in schema.RUNS},
            "run_id": t.config.run_id,
            "status": "ok",
            "jit_compile": False,
            "test_accuracy": 0.9 - 0.01 * number,
        }
        for number, t in enumerate(done)
    ]
    epochs = [
        {"run_id": t.config.run_id, "epoch": 1, "steps": 9, "seconds": 1.0, "val_accuracy": 0.9}
        | {"test_accuracy": 0.9}
        for t in done
    ]
    csv_file.write(tmp_path / "runs.csv", schema.RUNS, runs)
    csv_file.write(tmp_path / "epochs.csv", schema.EPOCHS, epochs)
    csv_file.write(tmp_path / "trials.csv", schema.TRIALS, rows(planned))
    for with_plan in (True, False):
        if not with_plan:  # as earlier versions wrote it
            (tmp_path / "trials.csv").unlink()
            (tmp_path / "command.txt").write_text("python -m benchmarks tune\n")
        compared, _ = comparison.within(tmp_path)
        assert {c.effect.n for c in compared} == {1}
        assert {c.metric.column for c in compared} == {"test_accuracy"}
        text = contents_text(tmp_path)
        assert ("Interrupted: 5 of 8 trials" in text) == with_plan
        assert "search" in text
