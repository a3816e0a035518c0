"""`make bench-gpu`, the parts that work on a machine without a GPU."""

import runpy
import tarfile
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from benchmarks.commands import train, update
from benchmarks.publish import gpu_evidence
from benchmarks.publish.gpu_evidence import Part
from tests.benchmarks.conftest import ROOT


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_part_is_a_command_that_there_is(backend, tmp_path):
    found = list(gpu_evidence.parts(backend, "gpu", tmp_path))
    assert len({part.name for part in found}) == len(found) >= 5
    for part in found:
        _, module, *rest = part.arguments
        if module == "pytest":
            assert all((ROOT / argument).exists() for argument in rest if "/" in argument)
            continue
        command = {"train": train.train, "update": update.update}[rest[0]]
        context = command.make_context(rest[0], rest[1:])  # raises if it has no such option
        assert context.params["device"] == "gpu"
        assert context.params["backend"] == backend
        assert context.params["output"] == tmp_path / part.name


def test_a_part_that_fails_or_takes_too_long_does_not_cost_the_others(tmp_path, monkeypatch):
    """A shell stands in for Python, because it starts at once; the clock of all parts rests."""
    parts = [
        Part("slow", ["-c", "echo begun; exec sleep 60"]),
        Part("broken", ["-c", "exit 3"]),
        Part("good", ["-c", "echo $KERAS_BACKEND"]),
    ]
    monkeypatch.setattr(gpu_evidence, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(gpu_evidence, "parts", lambda *_: iter(parts))
    monkeypatch.setattr(gpu_evidence.sys, "executable", "/bin/sh")
    monkeypatch.setattr("benchmarks.updates.race.check_race", lambda *_: None)
    folder = tmp_path / "evidence"
    minutes = (2 * gpu_evidence.RESERVE_SECONDS + 1) / 60  # a second for the first part
    done = CliRunner().invoke(
        gpu_evidence.main, [f"--minutes={minutes}", f"--output={folder}"], standalone_mode=False
    )
    assert done.return_value == 1
    assert "slow: not ready after 1 s" in done.output
    assert "broken: exit code 3" in done.output
    with tarfile.open(tmp_path / "evidence.tar.gz") as archive:
        names = {name.removeprefix("evidence/") for name in archive.getnames()}
    assert {"slow.txt", "broken.txt", "good.txt", "packages.txt"} <= names
    assert (folder / "slow.txt").read_text() == "begun\n"
    assert (folder / "good.txt").read_text() == "tensorflow\n"


def test_without_a_gpu_it_says_so_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr("sys.argv", ["gpu_evidence", f"--output={tmp_path / 'new'}"])
    with pytest.raises(SystemExit, match="--device 'gpu': tensorflow sees no GPU on this machine"):
        runpy.run_path(gpu_evidence.__file__, run_name="__main__")
    assert not (tmp_path / "new").exists()
