"""`--coordinator`: two processes on this machine train as one does."""

import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest

from benchmarks.commands.runs import process_group
from benchmarks.errors import InputError
from benchmarks.training import processes
from tests.benchmarks.conftest import run_command

TRAIN = ("train", "--dataset", "digits", "--model", "mlp", "--device", "cpu", "--backend", "jax")
ONE_RUN = ("--seeds", "1", "--epochs", "2", "--max-steps", "40", "--batch-size", "50")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(address, number, *options):
    command = (sys.executable, "-m", "benchmarks", *TRAIN, *options)
    group = ("--coordinator", address, "--processes", "2", "--process-id", str(number))
    return subprocess.Popen(
        (*command, *group), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_processes_train_as_one(tmp_path):
    optimizer = ("--optimizer", "keras_adam(global_clipnorm=0.5)")
    address = f"127.0.0.1:{free_port()}"
    two, one = str(tmp_path / "two"), str(tmp_path / "one")
    started = [start(address, number, *ONE_RUN, *optimizer, "--output", two) for number in (0, 1)]
    for process in started:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, out + err
    assert run_command(*TRAIN, *ONE_RUN, *optimizer, "--output", one).returncode == 0
    runs = [pd.read_csv(f"{folder}/runs.csv").iloc[0] for folder in (one, two)]
    assert [run["processes"] for run in runs] == [1, 2]
    epochs = [pd.read_csv(f"{folder}/epochs.csv") for folder in (one, two)]
    assert len(epochs[1]) == 2  # one process writes
    for column in ("train_loss", "test_loss"):
        # The same images in each batch, whose sums are rounded in another order.
        np.testing.assert_allclose(epochs[1][column], epochs[0][column], rtol=1e-3)


def test_one_dies_and_the_other_stops(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    long = ("--seeds", "1", "--epochs", "5000", "--optimizer", "adam")
    first, second = (start(address, n, *long, "--output", str(tmp_path / "new")) for n in (0, 1))
    for line in first.stdout:
        if "epoch 1/" in line:
            break
    begin = time.monotonic()
    for process in psutil.Process(second.pid).children(recursive=True):
        process.send_signal(signal.SIGKILL)
    _, error = first.communicate(timeout=100)
    assert time.monotonic() - begin < 60
    assert first.returncode == 2
    assert "When one of the processes dies, all stop" in error
    assert len(error.splitlines()) == 1, error
    _, error = second.communicate(timeout=30)
    assert second.returncode == 2
    assert "process 1, digits mlp adam" in error
    assert pd.read_csv(tmp_path / "new" / "runs.csv").iloc[0]["status"] != "ok"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 2, 0, "jax"), "process_id 0: not without the others; see coordinator"),
        (("a:1", 1, None, "jax"), "coordinator 'a:1': not without the others"),
        (("a:1", 2, 2, "jax"), "process_id 2: they count from 0 to 1"),
        (("a", 2, 0, "jax"), "coordinator 'a': expected HOST:PORT"),
        (("a:1", 2, 0, "tensorflow"), "backend 'tensorflow': several processes train together on"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        process_group(*arguments)


def test_a_host_that_is_none_is_said_at_once():
    group = processes.ProcessGroup("no.such.host.invalid:1", 2, 0)
    with pytest.raises(InputError, match="no such host"), processes.join(group):
        pass


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr(processes, "CONNECT_SECONDS", 1)
    group = processes.ProcessGroup(f"127.0.0.1:{free_port()}", 2, 1)
    message = "process 0 has not answered there within 1 seconds: Connection refused"
    with pytest.raises(InputError, match=message), processes.join(group):
        pass


def test_alone():
    assert process_group(None, 1, None, "tensorflow") is None
