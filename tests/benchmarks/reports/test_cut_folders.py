"""A folder with deleted or cut files is read, or refused in one line."""

import csv
import io
import shutil

import pytest

from benchmarks.analysis import trials
from benchmarks.commands.compare import compare
from benchmarks.errors import InputError
from benchmarks.reports import contents, plots
from tests.benchmarks.conftest import ROOT

KINDS = {
    "train_fashion_mnist": 16,
    "tune_fashion_mnist": 21,
    "update_fit": 40,
    "update_grid": 9,
    "program_steps": 5,
    "overhead": 5,
}
"""The folders, and how many lines of each file are enough."""

ALIKE = ("environment.json", "epochs.csv")
"""Files that are alike in every folder: they are cut in that of `train` only."""


def cuts(name, data):
    """Yield contents that may be left of a file."""
    yield None
    if not name.endswith(".csv"):
        yield data[: len(data) // 2]
        return
    first, *lines = data.splitlines(keepends=True)
    yield b""
    yield first[: len(first) // 2]
    yield first
    yield first + b"".join(lines)[: -len(lines[-1]) // 2] if lines else first
    yield b"".join(lines)
    yield first + b"," * first.count(b",") + b"\n"


def without_columns(data):
    """Yield the file without each of its columns."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    for column in range(len(rows[0])):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            row[:column] + row[column + 1 :] for row in rows
        )
        yield text.getvalue().encode()


def read_or_refuse(folder):
    for read in (lambda: list(contents.blocks(folder)), lambda: compare.callback((folder,))):
        try:
            read()
        except InputError as error:
            message = str(error)
        else:
            message = ""
        assert "\n" not in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_read_or_refused(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plots, "_svg", lambda *_: "<svg/>")
    monkeypatch.setattr(trials, "RESAMPLES", 10)
    files = {
        path.name: b"".join(path.read_bytes().splitlines(keepends=True)[: KINDS[kind]])
        for path in (ROOT / "results" / kind).iterdir()
        if path.suffix in (".csv", ".json", ".txt")
    }
    folder = tmp_path / kind
    for name, data in files.items():
        if name in ALIKE and kind != "train_fashion_mnist":
            continue
        contents_left = list(cuts(name, data))
        if kind == "overhead" and name.endswith(".csv"):
            contents_left += without_columns(data)
        for left in contents_left:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for other, whole in files.items():
                (folder / other).write_bytes(whole)
            if left is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(left)
            read_or_refuse(folder)
    capsys.readouterr()
