import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.errors import InputError
from benchmarks.reports import contents, page, trials
from benchmarks.run import parse_optimizer
from benchmarks.search import draws
from benchmarks.search.plan import plan as plan_search

RATES = (1e-4, 1.0)


def plan(config, *texts, count=5, seed=0):
    problem = dataclasses.replace(config, seed=seed, validation=0.1)
    return plan_search([parse_optimizer(text) for text in texts], RATES, count, [problem])


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


def test_a_search_from_the_command_line_to_its_report(command, data_dir, tmp_path):
    folder = tmp_path / "search"
    arguments = (
        *("tune", "--model", "mlp", "--epochs", 1, "--optimizer", "adam", "--device", "cpu"),
        *("--data-dir", data_dir, "--output", folder, "--resume", "--trials"),
    )
    done = command(*arguments, 1)
    assert done.returncode == 0, done.stderr
    done = command(*arguments, 2)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 runs have a result already" in done.stdout
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
    assert files == ["best-of-k-1.png"]
