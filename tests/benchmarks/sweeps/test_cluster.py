"""Sweeps on Dask's own scheduler and workers, which are processes on this machine."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from distributed import Client

from benchmarks import worker
from benchmarks.store import csv_file, schema
from benchmarks.sweeps import cluster, local, on_worker, results
from benchmarks.sweeps.cluster import TICK_SECONDS, LostError, at
from tests.benchmarks.conftest import ROOT, run_command
from tests.benchmarks.sweeps import instant
from tests.processes import FAST_COMPILATION

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

    def worker(self, *options, path=(ROOT,), **environment):
        return self._start(
            *("worker", self.address, "--no-dashboard", "--local-directory", self._folder),
            *options,
            path=path,
            **environment,
        )

    def _start(self, *arguments, path=(ROOT,), **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *map(str, arguments)],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), **environment},
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


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def at_work(client):
    """Return for each worker whether it is at work on a run."""
    run = f"{on_worker.run_on_worker.__name__}-"
    return [any(key.startswith(run) for key in keys) for keys in client.processing().values()]


def test_a_worker_dies_then_the_scheduler_and_every_row_is_there_once(dask, monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    folder, permits = tmp_path / "report", tmp_path / "permits"
    instant.permit(permits, 0)
    light = "--preload", instant.__name__
    dies = dask.worker("--no-nanny", *light, PERMITS=str(permits))
    dask.worker(*light, PERMITS=str(permits))
    arguments = (*TRAIN, "--optimizer", "adam", "--seeds", 4, "--output", folder)

    def kill():
        with dask.client() as client:
            wait_until(lambda: at_work(client) == [True, True])
            dies.kill()
            wait_until(lambda: len(at_work(client)) == 1)
            instant.permit(permits, 1)
            wait_until(lambda: results.done(folder))

    with ThreadPoolExecutor(1) as threads:
        killing = threads.submit(kill)
        killing.add_done_callback(lambda _: dask.scheduler.kill())
        done = run_command(*arguments, "--cluster", dask.address)
        killing.result()
    assert done.returncode == 2
    assert re.search("  lost with worker .*; it will be done again\n", done.stdout)
    assert done.stdout.count("  ok, test accuracy") == 1
    *_, again, error = done.stderr.splitlines()
    assert again.startswith(
        f"The results so far are in {folder}. To go on: python -m benchmarks train"
    )
    assert error == f"Error: --cluster '{dask.address}': the scheduler is gone"
    before = csv_file.read(folder / "runs.csv", schema.RUNS)
    assert list(before["runs_on_host"]) == [2]
    assert before["error"][0].endswith("threads None")  # Dask's nanny had allowed one
    monkeypatch.setattr(worker, "run", instant.run)
    done = run_command(*arguments, "--resume")
    assert done.returncode == 0, done.stderr
    runs, epochs = (
        csv_file.read(folder / f"{name}.csv", columns)
        for name, columns in (("runs", schema.RUNS), ("epochs", schema.EPOCHS))
    )
    pd.testing.assert_frame_equal(runs[:1], before)
    assert set(runs["status"]) == {"ok"}
    assert len(runs) == runs["run_id"].nunique() == 4
    assert epochs.groupby("run_id")["epoch"].apply(list).to_dict() == {
        run_id: [1, 2] for run_id in runs["run_id"]
    }
    assert set(runs["runs_on_host"][1:]) == {1}


def test_what_a_task_raises_is_its_own_and_what_is_lost_has_not_failed(dask):
    """The result of a run that ended just before the scheduler is there, and no way to it."""
    dask.worker("--no-nanny")
    with at(dask.address, print) as workers:
        while not (there := workers.workers()):
            time.sleep(TICK_SECONDS)
        (address,) = there
        with pytest.raises(OSError, match="No such file"):
            workers.take(workers.submit(address, os.stat, "/there/is/no/such/file"))
        future = workers.submit(address, len, "three")
        while not future.done():
            time.sleep(TICK_SECONDS)
        dask.scheduler.kill()
        with pytest.raises(LostError):
            workers.take(future)
        with pytest.raises(ConnectionError, match="the scheduler is gone"):
            workers.workers()


def test_a_worker_of_this_machine_trains(command, monkeypatch, tmp_path):
    monkeypatch.setenv("XLA_FLAGS", FAST_COMPILATION)  # for the server of the Dask worker
    folder = tmp_path / "report"
    done = command(
        *(*TRAIN, "--dataset", "tests.benchmarks.tiny:images", "--optimizer", "adam"),
        *("--seeds", 1, "--backend", "jax", "--parallel", 1),  # whose server starts sooner
        *("--validation", 0.1, "--save-weights", "--output", folder),
    )
    assert done.returncode == 0, done.stderr
    runs = pd.read_csv(folder / "runs.csv")
    assert runs["status"].tolist() == ["ok"]
    assert runs["host"].notna().all()
    assert [path.name for path in folder.glob("????????????.*")] == [
        f"{runs['run_id'][0]}.weights.h5"
    ]
    assert len(re.findall(r"  epoch 1/1, loss", done.stdout)) == 1
    assert done.stderr == ""


def test_each_worker_of_this_machine_has_gpus_of_its_own_and_all_threads(
    command, monkeypatch, tmp_path
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6,7,8")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    name = "distributed.worker.preload"
    monkeypatch.setitem(local.SETTINGS, name, [*local.SETTINGS[name], instant.__name__])
    folder = tmp_path / "report"
    done = command(
        *("train", "--model", TINY, "--optimizer", "adam", "--seeds", 2, "--devices", 2),
        *("--parallel", 2, "--output", folder),
    )
    assert done.returncode == 0, done.stderr
    runs = pd.read_csv(folder / "runs.csv")
    assert sorted(runs["error"]) == ["GPUs 5,6, threads None", "GPUs 7,8, threads None"]
    assert runs["runs_on_host"].tolist() == [2, 2]


def test_an_address_where_nothing_answers(command, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.2)
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
    for path, problem in (
        ((other, ROOT), "has keras 0.1 instead of"),
        ((), "finds no benchmarks; start it with PYTHONPATH=."),
    ):
        process = dask.worker("--no-nanny", path=path)
        done = command(*arguments)
        assert done.returncode == 2
        assert re.fullmatch(rf"Error: worker tcp://127.0.0.1:\d+:? .*{problem}.*\n", done.stderr)
        process.terminate()
        process.wait()
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
