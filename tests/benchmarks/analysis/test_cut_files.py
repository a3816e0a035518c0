"""From files that were cut, complete rows are read, or one line says what is wrong."""

import contextlib
import shutil

import pytest

from benchmarks.analysis import comparison
from benchmarks.errors import InputError
from benchmarks.reports import contents
from benchmarks.search import plan
from benchmarks.store import csv_file, schema
from tests.benchmarks.conftest import ROOT


def cuts(content):
    """Cut in the header and in rows, with and without an end of the line."""
    lines = content.splitlines(keepends=True)
    header, row = lines[0], lines[1]
    yield from (b"", header[:-1], header, header[: len(header) // 2] + b"\n" + row)
    yield header[: header.index(b",")] + b"\n" + row
    for size in (0, 1, row.index(b","), len(row) // 2):
        yield header + row[:size] + b"\n" + b"".join(lines[2:])
    yield header + row + b'"' + lines[2]


@pytest.mark.parametrize("file", ["runs.csv", "trials.csv"])
def test_the_winners_of_a_cut_search_are_found_or_refused(tmp_path, file):
    folder = tmp_path / "search"
    shutil.copytree(ROOT / "results" / "tune_fashion_mnist", folder)
    content = (folder / file).read_bytes()
    for cut in cuts(content):
        (folder / file).write_bytes(cut)
        with contextlib.suppress(InputError):
            plan.winners(folder)


def test_a_row_that_was_cut_is_no_run(tmp_path):
    content = (ROOT / "results" / "train_state_dtype" / "runs.csv").read_bytes()
    lines = content.splitlines(keepends=True)
    half = lines[2][: len(lines[2]) // 2] + b"\n"
    (tmp_path / "runs.csv").write_bytes(b"".join([*lines[:2], half, *lines[3:]]))
    found = csv_file.read(tmp_path / "runs.csv", schema.RUNS)
    assert len(found) == len(lines) - 2
    assert found["started_at"].notna().all()


def test_a_report_without_a_row_says_so(tmp_path):
    (tmp_path / "runs.csv").write_text(",".join(schema.RUNS) + "\n")
    for read in (comparison.within, lambda folder: list(contents.blocks(folder))):
        with pytest.raises(InputError, match="its report holds no row yet"):
            read(tmp_path)
