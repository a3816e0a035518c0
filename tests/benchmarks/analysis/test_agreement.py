"""In what runs must agree to be compared: their environment, their options, their code."""

from collections import Counter

import pandas as pd
import pytest

from benchmarks.analysis import comparison, observations
from benchmarks.analysis.observations import DIGEST_OF, PROBLEM
from benchmarks.errors import InputError
from benchmarks.store import csv_file, schema
from tests.benchmarks.analysis.runs import between, within, write


def test_two_folders_may_be_of_two_commits(tmp_path):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    after = write(tmp_path / "after", "adam", [1000, 1010, 1020], commit="def", dirty=True)
    found, warnings = between(before, after)
    assert found["images_per_second"].subject == f"adam in {after}"
    assert found["images_per_second"].verdict == (
        "difference: faster (or a drift between the two sessions)"
    )
    assert any("two sessions" in warning for warning in warnings)


def test_two_folders_whose_runs_took_turns_are_one_session(tmp_path):
    def times(*minutes):
        return [f"2026-01-01T00:{minute:02}:00+00:00" for minute in minutes]

    before = write(tmp_path / "before", "adam", [500, 505, 510], started_at=times(0, 3, 4))
    after = write(tmp_path / "after", "adam", [1000, 1010, 1020], started_at=times(1, 2, 5))
    found, warnings = between(before, after)
    assert found["images_per_second"].verdict == "difference: faster"
    assert warnings == []


def test_an_optimizer_that_was_added_later_is_of_another_session(tmp_path):
    write(tmp_path, "adam", [500, 505, 510], started_at="2026-01-01T00:00:00+00:00")
    write(tmp_path, "sgd", [1000, 1010, 1020], started_at="2026-01-02T00:00:00+00:00")
    assert "drift" in within(tmp_path)[0]["images_per_second"].verdict


ENVIRONMENT = [c for c in schema.ENVIRONMENT if c not in (*comparison.CODE, "started_at")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The rows of runs.csv of three runs each of adam and sgd."""
    folder = write(tmp_path_factory.mktemp("two"), "adam", [500, 505, 510])
    write(folder, "sgd", [1000, 1010, 1020])
    return csv_file.read(folder / "runs.csv", schema.RUNS).assign(steps=468)


@pytest.fixture(scope="module")
def observed(runs):
    return observations.from_runs(runs)


@pytest.mark.parametrize("column", ENVIRONMENT)
def test_unlike_environments_are_refused(observed, column):
    one, another = {
        "string": ("one", "another"),
        "Int64": (1, 2),
        "Float64": (1.0, 2.0),
        "boolean": (False, True),
    }[schema.ENVIRONMENT[column]]
    # In these columns a blank is a value, because a machine may not have the device.
    own = {} if column in comparison.BLANK_IS_A_VALUE else {column: one}
    found = observed.assign(**own)
    found.loc[found["optimizer"] == "sgd", column] = another
    with pytest.raises(InputError, match=f"different environments: {column}.*--any-environment"):
        comparison.within_observations(found, "a folder")


def test_unlike_environments_of_two_folders_are_refused(tmp_path):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    after = write(tmp_path / "after", "adam", [500, 505, 510], cpu="another processor")
    with pytest.raises(InputError, match=r"different environments: cpu.*--any-environment"):
        between(before, after)
    assert between(before, after, any_environment=True)[0]


def test_each_pair_is_of_one_machine(tmp_path):
    write(tmp_path, "adam", [500, 505, 510], host=["a", "a", "b"])
    write(tmp_path, "sgd", [1000, 1010, 1020], host=["a", "a", "b"])
    assert within(tmp_path)[0]["images_per_second"].verdict == "difference: faster"
    write(tmp_path, "rmsprop", [1000, 1010, 1020], host=["a", "b", "b"])
    with pytest.raises(InputError, match="different environments: host a and b"):
        within(tmp_path)


def test_timings_of_runs_that_shared_their_host_are_not_compared(tmp_path):
    write(tmp_path, "adam", [500, 505, 510], runs_on_host=1)
    write(tmp_path, "sgd", [1000, 1010, 2000], runs_on_host=[1, 1, 3])
    found, warnings = within(tmp_path)
    speed = found["images_per_second"]
    assert (speed.effect.n, speed.lost, speed.gained) == (2, Counter(), 0)
    assert found["test_accuracy"].effect.n == 3
    assert warnings == [
        "runs of sgd that shared their host with others (runs_on_host), so their timings are not "
        "compared: 1 of 3"
    ]


def test_why_timings_alone_are_nothing_to_compare(tmp_path):
    for optimizer in ("adam", "sgd"):
        write(tmp_path, optimizer, [500, 505, 510], runs_on_host=2)
    assert set(within(tmp_path)[0]) == {"test_accuracy"}
    with pytest.raises(InputError, match="shared their host are not compared"):
        within(tmp_path, metrics=["images_per_second"])


def test_what_is_not_known_of_an_old_report_is_said(tmp_path):
    before = write(tmp_path / "before", "adam", [500, 505, 510])
    after = write(tmp_path / "after", "adam", [500, 505, 510], cores=2)
    warnings = between(before, after)[1]
    assert "it is unknown for some runs whether they agree in cores" in warnings


ANOTHER = {"string": "another", "Int64": 77, "Float64": 0.5, "boolean": True}
"""A value of each type of column that is not a default."""


def test_runs_with_other_options_are_never_compared(runs):
    """An earlier version called float32 against bfloat16 "faster, n = 3"."""
    options = [column for column in PROBLEM if column not in DIGEST_OF]
    others = [runs.assign(**{option: ANOTHER[schema.RUNS[option]]}) for option in options]
    together = pd.concat([runs, *others], ignore_index=True).astype(dict(schema.RUNS))
    problems = observations.from_runs(together)["problem"].to_numpy().reshape(-1, len(runs))
    assert (problems == problems[:, :1]).all()
    assert len(set(problems[:, 0])) == 1 + len(options)


def test_runs_of_two_folders_with_other_options_are_never_compared(tmp_path):
    one = write(tmp_path / "one", "adam", [500, 505, 510])
    other = write(tmp_path / "other", "adam", [500, 505, 510], precision="another")
    with pytest.raises(InputError, match=r"nothing to compare.*differ in .*precision"):
        between(one, other)


def test_every_option_of_a_run_is_one_in_which_they_must_agree():
    its_own = {"seed", "optimizer", "learning_rate", "optimizer_digest"}
    assert set(schema.OPTIONS) - its_own == set(PROBLEM) - {"target_accuracy"}


@pytest.mark.parametrize("digest", DIGEST_OF)
def test_runs_on_other_data_or_of_another_model_are_not_paired(tmp_path, digest):
    """An earlier version averaged the seeds of two models with the same name."""
    before = write(tmp_path / "before", "adam", [500, 505, 510], **{digest: "one"})
    after = write(tmp_path / "after", "adam", [500, 505, 510], **{digest: "two"})
    with pytest.raises(InputError, match=rf"nothing to compare.*differ in .*{digest} \(one, two"):
        between(before, after)
    write(before, "sgd", [500, 505, 510], **{digest: "one"})
    write(before, "adam", [900, 905, 910], run_id=["x", "y", "z"], **{digest: "two"})
    (found,) = {c.problem for c in comparison.within(before)[0]}
    assert found.endswith(f"{digest} one")
    # In files of an older version it is unknown, and a warning says so.
    old = write(tmp_path / "old", "adam", [500, 505, 510])
    found, warnings = between(old, after)
    assert found["images_per_second"].effect.n == 3
    assert any(f"whether they agree in {digest}" in warning for warning in warnings)


def test_an_optimizer_whose_code_has_changed_is_compared_and_said(tmp_path):
    before = write(tmp_path / "before", "a:Opt", [500, 505, 510], optimizer_digest="one")
    after = write(tmp_path / "after", "a:Opt", [500, 505, 510], optimizer_digest="two")
    assert "a:Opt: its code was one and is two (optimizer_digest)" in between(before, after)[1]
    write(before, "a:Opt", [500, 505, 510], run_id=["x", "y", "z"], optimizer_digest="two")
    found = within(before, "a:Opt of code one")[0]
    assert found["images_per_second"].subject == "a:Opt of code two"


@pytest.mark.parametrize(("column", "file"), [("params", "runs"), ("steps", "epochs")])
def test_runs_of_one_kind_that_are_unlike_are_said(tmp_path, column, file):
    write(tmp_path, "adam", [500, 505, 510], params=1210)
    write(tmp_path, "sgd", [500, 505, 510], params=4810 if file == "runs" else 1210)
    if file == "epochs":
        run_ids = csv_file.read(tmp_path / "runs.csv", schema.RUNS)["run_id"]
        rows = [{"run_id": one, "epoch": 1, "steps": 44 + (n > 2)} for n, one in enumerate(run_ids)]
        csv_file.append(tmp_path / "epochs.csv", schema.EPOCHS, rows)
    (warning,) = within(tmp_path)[1]
    values = {"params": "1,210 and 4,810", "steps": "44 and 45"}[column]
    assert warning.startswith(f"runs of one kind differ in {column}, {values} (digits")


def test_one_folder_must_be_of_one_commit(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [500, 505, 510], commit="def")
    with pytest.raises(InputError, match="commit abc and def"):
        within(tmp_path)
