"""`--coordinator`: two processes on this machine train like one process."""

import contextlib
import dataclasses
import io
import os
import signal
import socket
import threading

import numpy as np
import psutil
import pytest
from rich.console import Console

from benchmarks.commands.runs import process_group
from benchmarks.errors import InputError
from benchmarks.sweeps.follow import follow
from benchmarks.sweeps.group import Group
from benchmarks.sweeps.here import Here
from benchmarks.sweeps.place import Done, Heard
from benchmarks.sweeps.request import SweepRequest
from benchmarks.training import processes
from benchmarks.training.messages import Epoch
from benchmarks.worker import start


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def one_run(tiny_config):
    return dataclasses.replace(
        tiny_config,
        **{"optimizer": "keras_adam(global_clipnorm=0.5)", "backend": "jax"},
        **{"epochs": 2, "max_steps": 40, "batch_size": 50},
    )


@pytest.fixture
def group(data_dir):
    """Process 0; process 1 follows it in a thread: their runs are processes all the same."""
    request = SweepRequest(device="cpu", data_dir=data_dir)
    address = f"127.0.0.1:{free_port()}"
    said, errors = io.StringIO(), []

    def follow_it():
        try:
            follow(request, processes.ProcessGroup(address, 2, 1), Console(file=said, width=200))
        except InputError as error:
            errors.append(str(error))

    follower = threading.Thread(target=follow_it)
    follower.start()
    yield Group(request, processes.ProcessGroup(address, 2, 0)), follower, said, errors
    follower.join()


def result(place, config, folder):
    """Return the row of the run and those of its epochs."""
    *_, done = place.do([config], folder)
    assert isinstance(done, Done)
    assert done.result.status == "ok", done.result.measured
    return done.result.row(), done.result.epochs


def test_two_processes_train_as_one(one_run, group, tmp_path, data_dir):
    two, follower, said, errors = group
    together = dataclasses.replace(one_run, processes=2)
    two.check([together])
    row, epochs = result(two, together, tmp_path)
    two.close()
    follower.join()
    assert not errors
    assert said.getvalue().endswith(": ok\n")
    one, expected = result(Here(SweepRequest(data_dir=data_dir)), one_run, tmp_path)
    assert (one["processes"], row["processes"]) == (1, 2)
    assert len(epochs) == len(expected) == 2
    for found, other in zip(epochs, expected, strict=True):
        for column in ("train_loss", "test_loss"):
            # The same images in each batch, whose sums are rounded in another order.
            np.testing.assert_allclose(found[column], other[column], rtol=1e-3)


def listens(process, port):
    there = process.net_connections()
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in there)


def test_one_dies_and_the_other_stops(one_run, group, tmp_path):
    two, follower, _, errors = group
    together = dataclasses.replace(one_run, processes=2, epochs=5000, max_steps=None)
    with contextlib.closing(two.do([together], tmp_path)) as events:
        for event in events:
            if isinstance(event, Heard) and isinstance(event.message, Epoch):
                break
        workers = psutil.Process(start._servers["jax"]._process.pid).children()
        port = int(two._group.coordinator.partition(":")[2])
        (follows,) = [process for process in workers if not listens(process, port)]
        os.kill(follows.pid, signal.SIGKILL)
        with pytest.raises(InputError, match="When a process dies, all stop"):
            list(events)
    follower.join()
    assert errors[0].startswith(f"process 1, {together}: killed by SIGKILL. When a process")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 2, 0, "jax"), "process_id 0: needs the other options too; see coordinator"),
        (("a:1", 1, None, "jax"), "coordinator 'a:1': needs the other options too"),
        (("a:1", 2, 2, "jax"), "process_id 2: must be from 0 to 1"),
        (("a", 2, 0, "jax"), "coordinator 'a': expected HOST:PORT"),
        (("a:1", 2, 0, "tensorflow"), "backend 'tensorflow': several processes can train"),
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
