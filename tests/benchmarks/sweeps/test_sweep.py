"""A sweep that is killed, resumed, and run twice at once."""

import csv
import random
import signal
import subprocess
import sys
import time
import types

import pandas as pd
import pytest

from benchmarks import worker
from benchmarks.reports import csv_file, schema
from benchmarks.reports.folder import open_folder
from benchmarks.sweeps import plan, results, sweep
from benchmarks.training.messages import Epoch, Finished
from tests.benchmarks.conftest import ROOT, run_command

LONGEST_SECONDS = 3.0
"""Between the start of a sweep and its end by force: some runs come to their end before it."""

RUN_SECONDS = 0.3
"""Of a run in a sweep that is killed through the command line."""


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
    """Stands for a `display.Display`."""

    def __getattr__(self, name):
        return lambda *_: None


def instant_run(function, config, *_, **__):
    """Stand for `worker.run`: what a run of two epochs sends."""
    for epoch in (1, 2):
        yield Epoch({"epoch": epoch, "seconds": 0.1})
    yield Finished({"status": "ok", "test_accuracy": 0.5})


def run(configs, folder):
    open_folder(folder, "a command", {})
    sweep.run_all(results.unfinished(configs, folder), folder, None, {}, Silent())


def assert_every_row_is_there_once(folder, run_ids):
    runs, epochs = pd.read_csv(folder / "runs.csv"), pd.read_csv(folder / "epochs.csv")
    assert sorted(runs["run_id"]) == sorted(run_ids)
    of_each_run = epochs.groupby("run_id")["epoch"].apply(list)
    assert of_each_run.to_dict() == {run_id: [1, 2] for run_id in run_ids}


KILL = """
import os, random, signal, sys, time
from pathlib import Path
from benchmarks.sweeps import sweep
from tests.benchmarks.sweeps import test_sweep

sweep.worker.run = test_sweep.instant_run
folder = Path(sys.argv[1])
configs = test_sweep.configurations(200)
for _ in range(50):
    pids = []
    for _ in range(2):
        pids.append(os.fork())
        if not pids[-1]:
            test_sweep.run(configs, folder)
            os._exit(0)
    for pid in pids:
        time.sleep(random.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
"""


def test_two_sweeps_killed_while_they_write_lose_tear_and_double_nothing(tmp_path, monkeypatch):
    """The moments at which files change, many times: without training, 100 kills."""
    subprocess.run([sys.executable, "-c", KILL, tmp_path], cwd=ROOT, check=True, timeout=120)
    monkeypatch.setattr(worker, "run", instant_run)
    configs = configurations(200)
    run(configs, tmp_path)
    assert_every_row_is_there_once(tmp_path, [config.run_id for config in configs])


SWEEP = """
import sys, time
from benchmarks import worker
from benchmarks.__main__ import main
from benchmarks.environment import Checked
from tests.benchmarks.sweeps import test_sweep

def run(function, *arguments, **_):
    if function.endswith(":check"):
        yield Checked("cpu", {})
    else:
        for message in test_sweep.instant_run(function, *arguments):
            time.sleep(test_sweep.RUN_SECONDS / 3)
            yield message

worker.run = run
sys.exit(main())
"""
"""The command line without training."""


def test_sweeps_killed_at_random_moments_and_resumed(tmp_path):
    """Twenty kills through the command line; at every moment two sweeps share the folder."""
    folder = tmp_path / "report"
    arguments = (
        *("train", "--model", "mlp", "--epochs", 2, "--seeds", 12, "--optimizer", "adam"),
        *("--device", "cpu", "--output", folder, "--resume"),
    )
    moments = random.Random(0)
    command_line = [sys.executable, "-c", SWEEP, *map(str, arguments)]
    for _ in range(10):
        sweeps = [
            subprocess.Popen(command_line, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)
        ]
        for sweep_process in sweeps:
            time.sleep(moments.uniform(0, LONGEST_SECONDS))
            sweep_process.kill()
            assert sweep_process.wait() in (0, -signal.SIGKILL)
    done = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    run_ids = pd.read_csv(folder / "runs.csv")["run_id"]
    assert len(run_ids) == 12
    assert_every_row_is_there_once(folder, set(run_ids))


def test_a_failed_run_is_run_again_and_its_rows_are_replaced(tmp_path, monkeypatch):
    def failing_run(function, config, *_, **__):
        yield Epoch({"epoch": 1})
        yield worker.Failure("timeout" if config.seed else "oom", "a reason")

    configs = configurations(2)
    monkeypatch.setattr(worker, "run", failing_run)
    run(configs, tmp_path)
    failed = csv_file.read(tmp_path / "runs.csv", schema.RUNS)
    assert list(failed["status"]) == ["oom", "timeout"]
    monkeypatch.setattr(worker, "run", instant_run)
    run(configs, tmp_path)
    assert_every_row_is_there_once(tmp_path, [config.run_id for config in configs])
    assert results.unfinished(configurations(3), tmp_path) == configurations(3)[2:]


def test_a_sweep_reads_each_row_once(tmp_path, monkeypatch):
    lines = []

    class Reader:
        def __init__(self, content):
            lines.extend(content)
            self.rows = csv.reader(content)

        def __iter__(self):
            return self.rows

    monkeypatch.setattr(csv_file, "csv", types.SimpleNamespace(reader=Reader))
    monkeypatch.setattr(csv_file, "read", lambda *_: pytest.fail("reads the whole file"))
    monkeypatch.setattr(worker, "run", instant_run)
    sweep.run_all(configurations(30), tmp_path, None, {}, Silent())
    # A header and a row each run; a header and two rows each run.
    assert len(lines) <= 1 + 30 + 1 + 60


def test_a_run_that_another_sweep_has_done_meanwhile_is_left_to_it(tmp_path, monkeypatch):
    (config,) = configurations(1)

    class OtherSweep(Silent):
        """Does the second run while the first one starts."""

        def start(self, started):
            if started == config:
                run(configurations(2)[1:], tmp_path)

    monkeypatch.setattr(worker, "run", instant_run)
    sweep.run_all(configurations(2), tmp_path, None, {}, OtherSweep())
    assert_every_row_is_there_once(tmp_path, [config.run_id for config in configurations(2)])


def test_a_run_that_another_sweep_does_now_is_left_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "run", instant_run)
    first, second = configurations(2)
    with results.claim(tmp_path / f"{first.run_id}.lock") as claimed:
        assert claimed
        run([first, second], tmp_path)
    assert_every_row_is_there_once(tmp_path, [second.run_id])
    run([first, second], tmp_path)
    assert_every_row_is_there_once(tmp_path, [first.run_id, second.run_id])


def test_ctrl_c_leaves_a_folder_that_can_be_read_and_resumed(data_dir, tmp_path):
    folder = tmp_path / "report"
    command_line = [
        *(sys.executable, "-m", "benchmarks", "train", "--model", "mlp", "--epochs", "1"),
        *("--seeds", "3", "--optimizer", "adam", "--device", "cpu"),
        *("--data-dir", str(data_dir), "--output", str(folder)),
    ]
    with subprocess.Popen(
        command_line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (folder / "runs.csv").exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        words = " ".join(command_line[1:]).replace("-m benchmarks", "python -m benchmarks")
        assert process.stderr.read().split("\n")[-4:] == [
            f"The results so far are in {folder}. To go on: {words} --resume",
            "",
            "Interrupted.",
            "",
        ]
    assert list(pd.read_csv(folder / "runs.csv")["status"]) == ["ok"]
    assert len(pd.read_csv(folder / "epochs.csv")) == 1


def test_a_disk_that_fills_up_tears_nothing(data_dir, tmp_path):
    """The system refuses to write more than a file's first bytes, in the middle of a row."""
    folder = tmp_path / "report"
    arguments = [
        *("train", "--model", "mlp", "--optimizer", "adam", "--epochs", 1, "--device", "cpu"),
        *("--data-dir", data_dir, "--output", folder),
    ]
    assert run_command(*arguments, "--seeds", 1).returncode == 0
    before = (folder / "runs.csv").read_bytes()
    limit = len(before) + 50
    limited = (
        f"import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        "runpy.run_module('benchmarks', run_name='__main__')"
    )
    full = subprocess.run(
        [sys.executable, "-c", limited, *map(str, [*arguments, "--seeds", 2, "--resume"])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert full.returncode == 2
    assert "runs.csv" in full.stderr
    assert full.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in full.stderr
    assert (folder / "runs.csv").read_bytes() == before
    # With room again, the sweep goes on.
    assert run_command(*arguments, "--seeds", 2, "--resume").returncode == 0
    assert pd.read_csv(folder / "runs.csv")["seed"].tolist() == [0, 1]
    assert len(pd.read_csv(folder / "epochs.csv")) == 2
