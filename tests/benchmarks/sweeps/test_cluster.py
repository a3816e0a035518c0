"""Sweeps on Dask's own scheduler and workers, which are processes on this machine."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest
from distributed import Client

from benchmarks.sweeps import on_worker
from benchmarks.sweeps.cluster import TICK_SECONDS, LostError, at
from tests.benchmarks.conftest import ROOT, run_command

TINY = "tests.benchmarks.tiny:dense"

TRAIN = ("train", "--model", TINY, "--epochs", 1, "--max-steps", 5, "--device", "cpu")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Dask:
    """A scheduler and its workers."""

    def __init__(self, stack, folder):
        self._stack = stack
        self._folder = folder
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            *("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard"),
            *("--scheduler-file", file),
            path=(),  # it need not have the project
        )
        # A sweep waits for a scheduler no longer than five seconds.
        with Client(scheduler_file=str(file), timeout=120, set_as_default=False) as client:
            self.address = client.scheduler.address

    def client(self):
        return Client(self.address, timeout=120, set_as_default=False)

    def worker(self, *options, path=(ROOT,)):
        return self._start(
            "worker",
            self.address,
            "--no-dashboard",
            "--local-directory",
            self._folder,
            *options,
            path=path,
        )

    def _start(self, *arguments, path=(ROOT,)):
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *map(str, arguments)],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process


@pytest.fixture
def dask(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Dask(stack, tmp_path)


@contextlib.contextmanager
def sweep(*arguments):
    """Start a sweep, and yield its process with its output."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process, pattern):
    """Read and return the output of a sweep up to a line."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return "".join(lines)
    pytest.fail(f"no {pattern}:\n{''.join(lines)}")


def wait_for_runs_on_all(client, sweep):
    """Return when each worker is at work on a run, which takes some seconds."""
    run = f"{on_worker.run_on_worker.__name__}-"
    while not all(
        any(key.startswith(run) for key in keys) for keys in client.processing().values()
    ):
        assert sweep.poll() is None, sweep.stdout.read()
        time.sleep(TICK_SECONDS)


def test_workers_die_then_the_scheduler_and_every_row_is_there_once(dask, data_dir, tmp_path):
    folder = tmp_path / "report"
    workers = [dask.worker() for _ in range(2)]
    arguments = (
        *(*TRAIN, "--optimizer", "adam", "--seeds", 4),
        *("--data-dir", data_dir, "--output", folder),
    )
    with dask.client() as client, sweep(*arguments, "--cluster", dask.address) as process:
        client.wait_for_workers(2, timeout=120)
        wait_for_runs_on_all(client, process)
        workers[0].kill()
        wait_for(process, "lost with worker .*; it will be done again")
        wait_for(process, "  ok, test accuracy")
        dask.scheduler.kill()
        said = process.stdout.read()
        assert process.wait(timeout=30) == 2
    assert f"The results so far are in {folder}. To go on: python -m benchmarks train" in said
    assert said.splitlines()[-1] == f"Error: --cluster '{dask.address}': the scheduler is gone"
    assert "Traceback" not in said
    before = pd.read_csv(folder / "runs.csv")
    assert 1 <= len(before) < 4
    done = run_command(*arguments, "--resume")
    assert done.returncode == 0, done.stderr
    runs, epochs = pd.read_csv(folder / "runs.csv"), pd.read_csv(folder / "epochs.csv")
    # A column of whole numbers in one row is read as int64, and with other rows as float64.
    pd.testing.assert_frame_equal(runs[: len(before)], before, check_dtype=False)
    assert set(runs["status"]) == {"ok"}
    assert len(runs) == runs["run_id"].nunique() == 4
    assert sorted(epochs["run_id"]) == sorted(runs["run_id"])
    assert before["runs_on_host"][0] == 2
    assert set(runs["runs_on_host"][len(before) :]) == {1}
    assert not list(folder.glob("*.backup"))


def test_what_a_task_raises_is_its_own_and_what_is_lost_has_not_failed(dask):
    """The result of a run that ended just before the scheduler is there, and no way to it."""
    dask.worker()
    with at(dask.address, print) as cluster:
        while not (there := cluster.workers()):
            time.sleep(TICK_SECONDS)
        (address,) = there
        with pytest.raises(OSError, match="No such file"):
            cluster.take(cluster.submit(address, os.stat, "/there/is/no/such/file"))
        future = cluster.submit(address, len, "three")
        while not future.done():
            time.sleep(TICK_SECONDS)
        dask.scheduler.kill()
        with pytest.raises(LostError):
            cluster.take(future)
        with pytest.raises(ConnectionError, match="the scheduler is gone"):
            cluster.workers()


def test_workers_of_this_machine(command, data_dir, tmp_path):
    folder = tmp_path / "report"
    done = command(
        *(*TRAIN, "--optimizer", "adam", "--seeds", 2, "--data-dir", data_dir, "--parallel", 2),
        *("--validation", 0.1, "--save-weights", "--output", folder),
    )
    assert done.returncode == 0, done.stderr
    runs = pd.read_csv(folder / "runs.csv")
    assert runs["status"].tolist() == ["ok", "ok"]
    assert runs["runs_on_host"].tolist() == [2, 2]
    assert runs["host"].notna().all()
    assert {path.name.split(".", 1)[1] for path in folder.glob("????????????.*")} == {"weights.h5"}
    assert len(list(folder.glob("*.weights.h5"))) == 2
    assert len(re.findall(r"  epoch 1/1, loss", done.stdout)) == 2
    assert done.stderr == ""


def test_an_address_where_nothing_answers(command, tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    done = command("train", "--cluster", address, "--output", tmp_path / "report")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: --cluster '{address}': no Dask scheduler answers there")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "report").exists()


def test_workers_that_are_not_fit_are_named(dask, command, tmp_path):
    """The first worker has other versions, the second has no clone."""
    other = tmp_path / "packages"
    (other / "keras-0.1.dist-info").mkdir(parents=True)
    (other / "keras-0.1.dist-info" / "METADATA").write_text("Name: keras\nVersion: 0.1\n")
    arguments = (*TRAIN, "--cluster", dask.address, "--output", tmp_path / "report")
    for options, path, problem in (
        ((), (other, ROOT), "has keras 0.1 instead of"),
        ((), (), "finds no benchmarks; start it with PYTHONPATH=."),
    ):
        worker = dask.worker(*options, path=path)
        done = command(*arguments)
        assert done.returncode == 2
        assert re.fullmatch(rf"Error: worker tcp://127.0.0.1:\d+:? .*{problem}.*\n", done.stderr)
        worker.terminate()
        worker.wait()
    assert not (tmp_path / "report").exists()


def test_what_the_nanny_takes_from_numpy_a_run_has_again(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as Dask's nanny does
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # the user's
    on_worker._give_threads_back()
    assert "OMP_NUM_THREADS" not in os.environ
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


def test_dask_is_loaded_only_when_it_is_asked_for():
    code = (
        "import sys, benchmarks.__main__, benchmarks.sweeps.sweep; "
        "assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--parallel", 3), "--parallel 3: each needs 1 GPU, but there are only 2; take"),
        (("--parallel", 2, "--devices", 2), "--parallel 2: each needs 2 GPUs, but"),
        (("--parallel", 2, "--cluster", "x"), "--parallel 2: only for this machine"),
        (("--cluster", "x"), "--cluster 'x': no Dask scheduler answers there"),
    ],
)
def test_bad_input_is_one_line(command, tmp_path, monkeypatch, options, message):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
    done = command("train", *options, "--output", tmp_path / "report")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1


GPUS = """
import os
from distributed import Client
from benchmarks.sweeps import local

with local.workers(2, None, 2) as address, Client(address) as client:
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"):
        print(sorted(map(str, client.run(os.getenv, name).values())))
"""


def test_each_worker_has_gpus_of_its_own_and_all_threads():
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", GPUS],
        cwd=ROOT,
        env={**environment, "CUDA_VISIBLE_DEVICES": "5,6,7,8"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["['5,6', '7,8']", "['None', 'None']"], done.stderr
