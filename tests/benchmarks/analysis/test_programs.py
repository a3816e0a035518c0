"""Compiled programs are compared and shown."""

import json

import pytest

from benchmarks.analysis import programs
from benchmarks.analysis.selection import Selection
from benchmarks.errors import InputError
from benchmarks.reports.page import to_markdown
from benchmarks.reports.sections import programs as compiled
from benchmarks.store import csv_file, schema


def write(folder, *rows, **columns):
    folder.mkdir(exist_ok=True)
    common = {
        "target": "h100",
        "model": "resnet50",
        "scope": "update",
        "precision": "float32",
        "devices": 1,
        "kernels": 216,
        "kernels_of_update": 216,
        "copied_bytes": 4,
        "bytes_per_parameter": 28.0,
        "argument_mb": 410.0,
        "temporary_mb": 0.05,
        "peak_mb": 410.1,
        "collective_bytes": 0,
        "backend_version": "0.10.2",
        "keras": "3.15.1",
    }
    rows = [{**common, **row, **columns} for row in rows]
    csv_file.append(folder / "programs.csv", schema.PROGRAMS, rows)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(
        tmp_path / "results",
        {"optimizer": "keras_adam(state_dtype='int8')", "kernels": 648, "bytes_per_parameter": 21},
        {"optimizer": "adam"},
        {"optimizer": "adam", "scope": "step", "batch_size": 64, "collective_bytes": 8},
    )


def test_within_a_folder_adam_is_the_baseline(folder):
    changes = programs.within(folder)
    assert {(c.baseline, c.subject) for c in changes} == {
        ("adam", "keras_adam(state_dtype='int8')")
    }
    found = {c.metric: (c.ratio, c.verdict) for c in changes}
    assert found == {
        "kernels": (3, "more"),
        "kernels_of_update": (1, "equal"),
        "bytes_per_parameter": (0.75, "less"),
        "peak_mb": (1, "equal"),
    }  # no collectives in either: nothing to say


def test_two_folders_compare_each_optimizer_with_itself(folder, tmp_path):
    after = write(
        tmp_path / "after",
        {"optimizer": "adam", "peak_mb": 820.2},
        {"optimizer": "adam", "scope": "step", "batch_size": 32},
    )
    changes = programs.between(folder, after, Selection(metrics=["peak_mb"]))
    (change,) = changes  # steps of other batches are other problems
    assert change.problem == "resnet50 update on h100, float32"
    assert (change.before, change.after, change.ratio) == (410.1, 820.2, 2)
    assert (change.baseline, change.subject) == (f"adam in {folder}", f"adam in {after}")


def test_what_was_nothing_before_is_more(folder, tmp_path):
    after = write(tmp_path / "after", {"optimizer": "adam", "collective_bytes": 80})
    (change,) = programs.between(folder, after, Selection(metrics=["collective_bytes"]))
    assert (change.ratio, change.verdict) == (float("inf"), "more")


def test_bad_input(folder, tmp_path):
    with pytest.raises(InputError, match="no program of 'adm'; did you mean adam"):
        programs.within(folder, Selection("adm"))
    other = write(tmp_path / "other", {"optimizer": "adam"}, backend_version="0.11.0")
    with pytest.raises(InputError, match=r"backend_version 0\.10\.2 and 0\.11\.0; .*any-env"):
        programs.between(folder, other)
    assert programs.between(folder, other, Selection(any_environment=True))
    alone = write(tmp_path / "alone", {"optimizer": "sgd"})
    with pytest.raises(InputError, match="nothing to compare"):
        programs.within(alone)
    write(tmp_path / "alone", {"optimizer": "sgd"})
    with pytest.raises(InputError, match="holds sgd twice"):
        programs.within(alone)


def test_a_page_shows_every_program(folder, tmp_path):
    page = to_markdown(list(compiled.section(folder)))
    assert "resnet50 update on h100, float32" in page
    assert "resnet50 step on h100, float32, batches of 64" in page
    assert page.count("\n| adam |") == 2
    assert page.count("int8") == 2  # how it compares, and its program
    assert list(compiled.section(tmp_path)) == []


def test_compare_reads_the_folder(command, folder, tmp_path):
    done = command("compare", folder, "--json", "--max-regression", "5%")
    assert done.returncode == 1, done.stderr
    found = {each["metric"]: each for each in json.loads(done.stdout)}
    assert found["bytes_per_parameter"]["estimate"] == 0.75
    assert found["bytes_per_parameter"]["verdict"] == "less"
    assert found["kernels"]["n"] == 1
    assert "Regression: kernels of keras_adam(state_dtype='int8') against adam" in done.stderr
    done = command("compare", folder, "--metric", "peak_mb", "--max-regression", "5%")
    assert done.returncode == 0, done.stderr
    assert "peak_mb" in done.stdout
    assert "equal" in done.stdout
    done = command("compare", folder, "--metric", "step_ms_p50")
    assert done.returncode == 2
    assert "--metric 'step_ms_p50': valid are: kernels," in done.stderr


def test_a_program_that_is_gone_is_said(command, folder, tmp_path):
    """XLA may have refused the program."""
    after = write(tmp_path / "after", {"optimizer": "adam"})
    done = command("compare", folder, after, "--max-regression", "5%")
    assert done.returncode == 0, done.stderr
    words = "A regression of more than 5% is excluded. Comparisons that exclude it: 4 of 4."
    assert words in done.stdout
    gone = f"adam in {folder}: nothing to compare with (resnet50 step on h100, float32, batches"
    assert gone in done.stderr
    assert done.stderr.count("Warning: ") == 2


def test_report_shows_the_folder(command, folder):
    done = command("report", folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "report.html").read_text()
    assert "resnet50 update on h100, float32" in page
    assert "backend_version: 0.10.2" in page
