import shutil
from types import SimpleNamespace

import pytest

from benchmarks.training import disk

VARIABLES = [SimpleNamespace(dtype="float32", shape=(1000, 1000))]


def touch(path):
    path.write_text("whole")


def test_it_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "x.weights.h5"
    path.write_text("old")
    assert disk.write(path, VARIABLES, touch) == ""
    assert path.read_text() == "whole"
    folder = tmp_path / "x.backup"
    for _ in range(2):
        assert disk.write(folder, VARIABLES, lambda new: new.mkdir()) == ""
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.backup", "x.weights.h5"]


def test_a_disk_without_room_is_not_written_to(tmp_path, monkeypatch):
    """Keras's writer would end the process with SIGSEGV."""
    path = tmp_path / "x.weights.h5"
    path.write_text("old")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4_500_000))
    words = disk.write(path, VARIABLES, lambda _: pytest.fail("is written"))
    assert words == "x.weights.h5 needs 5.0 MB, and 4.5 MB are free"
    assert path.read_text() == "old"


def test_half_a_file_is_removed(tmp_path):
    """Otherwise it would keep the disk full."""

    def fill(new):
        new.mkdir()
        (new / "half").write_text("half")
        raise OSError(28, "No space left on device")

    words = disk.write(tmp_path / "x.backup", VARIABLES, fill)
    assert words == "x.backup: OSError: [Errno 28] No space left on device"
    assert list(tmp_path.iterdir()) == []
