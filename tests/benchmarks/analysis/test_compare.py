"""`python -m benchmarks compare`."""

import contextlib
import functools
import json
import os

import pytest
from rich.console import Console

from benchmarks import printing
from benchmarks.commands import compare
from tests.benchmarks.analysis.runs import write, write_pair
from tests.benchmarks.conftest import run_command

run = functools.partial(run_command, "compare")


def test_the_command(tmp_path):
    before, after = write_pair(tmp_path, [500, 505, 510], [400, 405, 410])
    done = run(before, after)
    assert done.returncode == 0, done.stderr
    assert "images_per_second" in done.stdout
    assert "difference: slower" in done.stdout
    assert "Holm's" in done.stdout
    assert "two sessions" in done.stderr
    failed = run(before, after, "--max-regression", "5%")
    assert failed.returncode == 1
    assert "Regression: images_per_second of adam in" in failed.stdout
    assert run(before, after, "--max-regression", "50%").returncode == 0
    third = write(tmp_path / "third", "adam", [400, 505, 620])
    undecided = run(before, third, "--max-regression", "5%", "--metric", "images_per_second")
    assert undecided.returncode == 3
    assert "Inconclusive: images_per_second of adam in" in undecided.stdout
    assert "seeds would decide" in undecided.stdout


def test_a_reader_that_leaves_changes_no_exit_code(tmp_path):
    """In an earlier version, `compare | head -1` ended in a traceback."""
    before, after = write_pair(tmp_path, [500, 505, 510], [400, 405, 410])
    reader, writer = os.pipe()
    os.close(reader)
    output = open(writer, "w")  # noqa: PTH123, SIM115
    with output, contextlib.redirect_stdout(output):  # whose end flushes, as Python's does
        assert compare.compare.callback((before, after), max_regression="5") == 1


def test_a_narrow_terminal_cuts_no_verdict(tmp_path, capsys, monkeypatch):
    write(tmp_path, "adam(learning_rate=0.001)", [500, 505, 510])
    write(tmp_path, "sgd(learning_rate=0.1)", [1000, 1010, 1020])
    monkeypatch.setattr(
        printing, "console", lambda: Console(width=80, force_terminal=True, color_system=None)
    )
    assert compare.compare.callback((tmp_path,)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "  images_per_second: difference: faster" in lines
    assert any(line.startswith("      505 -> 1010, ") for line in lines)


def test_the_columns_carry_the_names_of_what_is_compared(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [1000, 1010, 1020])
    lines = run(tmp_path).stdout.splitlines()
    assert lines[1].split()[:3] == ["metric", "adam", "sgd"]


def test_json_is_a_list_of_objects(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [1000], [0.9])
    write(tmp_path, "rmsprop", [400, 405, 411], [0.9, 0.92, 0.91])
    done = run(tmp_path, "--json", "--max-regression", "5%")
    assert done.returncode == 1
    objects = json.loads(done.stdout)
    assert len(objects) == 4
    for one in objects:
        assert {"metric", "baseline", "subject", "estimate", "low", "high", "p", "n"} < set(one)
        assert one["verdict"].split(":")[0].split(" larger")[0] in (
            *("difference", "no difference", "inconclusive"),
        )
    single, _, slower, _ = objects
    assert (single["n"], single["p"], single["low"]) == (1, None, None)
    assert single["estimate"] == pytest.approx(2)
    assert slower["low"] < slower["estimate"] < slower["high"] < 1
    assert slower["regression"] == "shown"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["/nowhere"], "/nowhere: no such folder"),
        (["a", "b", "c"], "3 folders given"),
        (["a", "b", "--baseline", "adam"], "--baseline 'adam': only with one folder"),
        (["a", "--max-regression", "much"], "--max-regression 'much': expected a percentage"),
        (["a", "--metric", "speed"], "--metric 'speed': valid are: images_per_second"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
