"""A sweep that is killed, resumed, and begun twice at once."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest

from benchmarks import worker
from benchmarks.commands import runs
from benchmarks.environment import Checked
from benchmarks.errors import InputError
from benchmarks.store import csv_file, schema
from benchmarks.store import folder as store_folder
from benchmarks.store.folder import open_folder
from benchmarks.sweeps import plan, results, sweep
from benchmarks.sweeps.here import Here
from benchmarks.sweeps.request import SweepRequest
from benchmarks.training.messages import Epoch, Finished
from tests.benchmarks.conftest import ROOT, run_command
from tests.benchmarks.sweeps import instant

HERE = Here(SweepRequest())


def configurations(seeds):
    return plan.configurations(
        ["digits"],
        ["mlp"],
        [("adam", 0.001)],
        seeds,
        epochs=2,
        batch_size=32,
        device="cpu",
        backend="tensorflow",
        jit_compile="auto",
    )


class Silent:
    """Replaces a `display.Display`."""

    def __getattr__(self, name):
        return lambda *_: None


def run(configs, folder):
    open_folder(folder, "a command", {})
    sweep.run_all(HERE, results.unfinished(configs, folder), folder, Silent())


def assert_every_row_is_there_once(folder, run_ids):
    runs, epochs = pd.read_csv(folder / "runs.csv"), pd.read_csv(folder / "epochs.csv")
    assert sorted(runs["run_id"]) == sorted(run_ids)
    of_each_run = epochs.groupby("run_id")["epoch"].apply(list)
    assert of_each_run.to_dict() == {run_id: [1, 2] for run_id in run_ids}


KILL = """
import os, random, signal, sys, time
from pathlib import Path
from benchmarks.sweeps import sweep
from tests.benchmarks.sweeps import instant, test_sweep

test_sweep.worker.run = instant.run
folder = Path(sys.argv[1])
configs = test_sweep.configurations(100)
for _ in range(50):
    pid = os.fork()
    if not pid:
        test_sweep.run(configs, folder)
        os._exit(0)
    time.sleep(random.uniform(0, 0.05))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def test_a_sweep_killed_while_it_writes_loses_tears_and_doubles_nothing(tmp_path, monkeypatch):
    """A kill often hits a change of the files: without training, there are 50 kills."""
    subprocess.run([sys.executable, "-c", KILL, tmp_path], cwd=ROOT, check=True, timeout=120)
    monkeypatch.setattr(worker, "run", instant.run)
    configs = configurations(100)
    run(configs, tmp_path)
    assert_every_row_is_there_once(tmp_path, [config.run_id for config in configs])


SWEEP = """
import sys
from benchmarks import worker
from benchmarks.__main__ import main
from tests.benchmarks.sweeps import instant

worker.run = instant.permitted_run
sys.exit(main())
"""
"""The command line without training."""


def command(folder, seeds=12):
    return [
        *("train", "--model", "mlp", "--epochs", "2", "--seeds", str(seeds)),
        *("--optimizer", "adam", "--device", "cpu", "--output", str(folder), "--resume"),
    ]


def command_line(folder, seeds=12):
    return [sys.executable, "-c", SWEEP, *command(folder, seeds)]


@contextlib.contextmanager
def started(folder, permits, **options):
    """Start a sweep of twelve runs, which waits for ever after the permitted ones; kill it."""
    instant.permit(folder.parent / "permits", permits)
    with subprocess.Popen(
        command_line(folder),
        cwd=ROOT,
        env={**os.environ, instant.PERMITS: str(folder.parent / "permits")},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_run(number, process):
    """Wait until the process has said that its run has ended, and so has written its rows."""
    while f"[{number}/12]" not in process.stdout.readline():
        assert process.poll() is None


def test_a_sweep_killed_and_resumed(tmp_path, monkeypatch):
    folder = tmp_path / "report"
    with started(folder, permits=5) as one:
        wait_for_run(5, one)
    assert len(pd.read_csv(folder / "runs.csv")) == 5
    monkeypatch.setattr(worker, "run", instant.run)
    done = run_command(*command(folder))
    assert done.returncode == 0, done.stderr
    run_ids = pd.read_csv(folder / "runs.csv")["run_id"]
    assert len(run_ids) == 12
    assert_every_row_is_there_once(folder, set(run_ids))


@pytest.mark.parametrize("name", ["train", "tune"])
def test_a_second_sweep_is_told_that_the_folder_is_held(tmp_path, monkeypatch, name):
    monkeypatch.setattr(worker, "run", instant.run)
    with store_folder.hold(tmp_path):
        done = run_command(name, "--output", tmp_path, "--resume")
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: --output '{tmp_path}': another command uses this folder; wait for its end, or "
        "name another folder\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {store_folder.LOCK}


def test_a_sweep_reads_the_reports_once(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "run", instant.run)
    run(configurations(1), tmp_path)
    read, names = csv_file.read, []
    monkeypatch.setattr(csv_file, "read", lambda path, s: names.append(path.name) or read(path, s))
    sweep.run_all(HERE, configurations(30)[1:], tmp_path, Silent())
    assert sorted(names) == ["epochs.csv", "runs.csv"]
    assert_every_row_is_there_once(tmp_path, [config.run_id for config in configurations(30)])


def test_the_wall_time_of_a_resumed_run_is_that_of_all_its_processes(tmp_path, monkeypatch):
    def resumed(function, *_, **__):
        yield Finished({"status": "ok", "test_accuracy": 0.5, "wall_seconds": 1000.0})

    monkeypatch.setattr(worker, "run", resumed)
    run(configurations(1), tmp_path)
    (seconds,) = csv_file.read(tmp_path / "runs.csv", schema.RUNS)["wall_seconds"]
    assert 1000 <= seconds < 1100


def test_a_failed_run_is_run_again_and_its_rows_are_replaced(tmp_path, monkeypatch):
    def failing_run(function, config, *_, **__):
        yield Epoch({"epoch": 1})
        yield worker.Failure("timeout" if config.seed else "oom", "a reason")

    configs = configurations(2)
    monkeypatch.setattr(worker, "run", failing_run)
    run(configs, tmp_path)
    failed = csv_file.read(tmp_path / "runs.csv", schema.RUNS)
    assert list(failed["status"]) == ["oom", "timeout"]
    monkeypatch.setattr(worker, "run", instant.run)
    run(configs, tmp_path)
    assert_every_row_is_there_once(tmp_path, [config.run_id for config in configs])
    assert results.unfinished(configurations(3), tmp_path) == configurations(3)[2:]


@pytest.mark.parametrize(
    ("column", "name"),
    [("data_digest", "digits"), ("model_digest", "a:make"), ("optimizer_digest", "a:Opt")],
)
def test_a_sweep_does_not_go_on_with_what_has_changed(tmp_path, monkeypatch, column, name):
    """An earlier version averaged the seeds of two models after a module was edited."""
    monkeypatch.setattr(worker, "run", instant.run)
    own = {"model": "a:make", "optimizer": "a:Opt(x=1)"}
    plain = [dataclasses.replace(config, **own) for config in configurations(2)]
    before, after = ([c.identified({name: digest}) for c in plain] for digest in ("one", "two"))
    assert len({config.run_id for config in (*plain, *before, *after)}) == 6
    run(before, tmp_path)
    results.check_unchanged(before, tmp_path)
    results.check_unchanged(plain, tmp_path)
    with pytest.raises(InputError, match=f"{name} has changed.*{column} was 'one' and is 'two'"):
        results.check_unchanged(after, tmp_path)
    run(after, tmp_path)
    results.check_unchanged(after, tmp_path)
    results.check_unchanged(before, tmp_path)


def test_runs_of_a_version_without_digests_are_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "run", instant.run)
    old = configurations(1)
    run(old, tmp_path)
    checked = Checked("cpu", {}, digests={"digits": "three"})
    one = runs.Sweep(HERE, checked, tmp_path, None)
    found = [one.as_found(config) for config in configurations(2)]
    assert [config.data_digest for config in found] == [None, "three"]
    assert results.unfinished(found, tmp_path) == found[1:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_folder_that_can_be_read_and_resumed(tmp_path, number):
    """Ctrl-C did; Slurm, Docker and a closed terminal left no line with the command to continue."""
    folder = tmp_path / "report"
    handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    with started(
        folder,
        permits=1,
        stderr=subprocess.PIPE,
        # If a shell runs the tests in the background, or with `nohup`, they ignore one of the
        # signals, and this process would ignore it, too.
        preexec_fn=lambda: signal.signal(number, handler),
    ) as process:
        wait_for_run(1, process)
        process.send_signal(number)
        _, words = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    by = "" if number == signal.SIGINT else f" by {number.name}"
    assert words.splitlines()[-3:] == [
        f"The results so far are in {folder}. To go on: python -m benchmarks "
        + " ".join(command_line(folder)[3:]),
        "",
        f"Interrupted{by}.",
    ]
    runs, epochs = pd.read_csv(folder / "runs.csv"), pd.read_csv(folder / "epochs.csv")
    assert len(runs) == 1
    assert set(epochs["run_id"]) == set(runs["run_id"])


def test_a_disk_that_fills_up_tears_nothing(tmp_path, monkeypatch):
    """The system refuses to write more than a file's first bytes, in the middle of a row."""
    folder = tmp_path / "report"
    monkeypatch.setattr(worker, "run", instant.run)
    assert run_command(*command(folder, 1)).returncode == 0
    before = (folder / "runs.csv").read_bytes()
    limit = (len(before) + 50,) * 2
    first_line = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, {limit})"
    full = subprocess.run(
        [sys.executable, "-c", first_line + SWEEP, *command(folder, 2)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert full.returncode == 2
    assert "runs.csv" in full.stderr
    assert full.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in full.stderr
    assert (folder / "runs.csv").read_bytes() == before
    # With room again, the sweep goes on.
    assert run_command(*command(folder, 2)).returncode == 0
    runs = pd.read_csv(folder / "runs.csv")
    assert runs["seed"].tolist() == [0, 1]
    assert_every_row_is_there_once(folder, runs["run_id"])
