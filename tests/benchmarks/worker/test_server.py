"""The server that forks the workers: nothing leaks from it, and it ends at the right time.

The workers import this file, so it imports no backend.
"""

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks import device, worker
from benchmarks.worker import start
from tests.benchmarks.conftest import ROOT
from tests.processes import FAST_COMPILATION

pytestmark = pytest.mark.skipif(not start.CAN_FORK, reason="no server on this platform")

BACKENDS = ("tensorflow", "jax")


def call(function, *arguments, backend="tensorflow", **options):
    name = f"{__name__}:{function.__name__}"
    return worker.run(name, *arguments, backend=backend, device="cpu", **options)


def result(function, *arguments, **options):
    (message,) = call(function, *arguments, **options)
    return message


def threads(pid):
    return [(task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()]


def state(send):
    """Send the state of a worker at the start of its function."""
    found = {"threads": threads("self"), "random": [random.random(), np.random.random()]}
    if "tensorflow" in sys.modules:
        from tensorflow.python.eager import context

        found["context"] = context.context_safe()
    if "jax" in sys.modules:
        from jax._src import xla_bridge

        found["clients"] = dict(xla_bridge._backends)
    found["handlers"] = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGCHLD)]
    found["frozen"] = gc.get_freeze_count()
    found["modules"] = {name.partition(".")[0] for name in sys.modules}
    send(found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_begins_with_imports_and_nothing_else(backend):
    first, second = (result(state, backend=backend) for _ in range(2))
    assert len(first["threads"]) == 2  # its own, and the one that listens to the parent
    assert first.get("context") is None
    assert not first.get("clients")
    assert first["frozen"] > 100_000  # the objects of the libraries
    assert first["handlers"] == [signal.SIG_IGN, signal.SIG_DFL]
    assert first["random"][0] != second["random"][0]
    assert first["random"][1] != second["random"][1]
    assert {"keras", "keras_adam", backend} <= first["modules"]
    assert ("tensorflow" in first["modules"]) == (backend == "tensorflow")
    # NumPy's and SciPy's threads have ended before the fork. Arrow's thread, which frees memory,
    # handles forks itself.
    server = threads(start._servers[backend]._process.pid)
    assert len([name for name in server if name != "jemalloc_bg_thd"]) == 1


def compute(backend, send):
    """Let the libraries create what they create on their first use."""
    import keras

    if backend == "jax":
        import jax

        devices = len(jax.devices())
    else:
        import tensorflow as tf

        devices = len(tf.config.list_logical_devices())
    keras.ops.convert_to_numpy(keras.ops.ones(3) + 1)
    send((devices, os.environ.get("XLA_FLAGS"), os.environ["CUDA_VISIBLE_DEVICES"], sys.argv))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_environment_of_a_run_is_its_own(backend, monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(sys, "argv", ["a command"])
    flags = f"--xla_force_host_platform_device_count=3 {FAST_COMPILATION}"
    devices = 3 if backend == "jax" else 1
    words = ["a command"]
    assert result(compute, backend, backend=backend, devices=3) == (devices, flags, "-1", words)
    assert result(compute, backend, backend=backend) == (1, FAST_COMPILATION, "-1", words)
    assert len(result(state, backend=backend)["threads"]) == 2


def memory(send):
    before = device.peak_memory_mb("tensorflow", "cpu")
    np.ones(30_000_000)
    send((before, device.peak_memory_mb("tensorflow", "cpu")))


def test_peak_memory_is_that_of_a_process_that_imports_for_itself(monkeypatch, capsys):
    """Compare two forked processes, one after the other, with a spawned one."""
    forked, after = result(memory), result(memory)
    assert forked[1] - forked[0] == pytest.approx(240, rel=0.05)
    assert after == pytest.approx(forked, rel=0.01)
    monkeypatch.setattr(start, "CAN_FORK", False)
    monkeypatch.setattr(start, "_has_said", False)
    spawned = result(import_and_measure)
    assert forked[0] == pytest.approx(spawned[0], rel=0.05)
    assert capsys.readouterr().err == (
        "This platform cannot fork, so each run imports its libraries again.\n"
    )


def import_and_measure(send):
    from benchmarks.worker import needed  # noqa: F401

    memory(send)


@pytest.fixture
def light(monkeypatch, tmp_path):
    """Use servers for this test only. On JAX, they cannot import Keras, so they start at once."""
    (tmp_path / "light").mkdir()
    (tmp_path / "light" / "keras.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path / "light")
    with monkeypatch.context() as patched:
        patched.setattr(start, "_servers", {})
        yield
        start._close_all()


def variable(name, send):
    print("printed")
    send((os.environ.get(name), str(Path.cwd())))


def test_the_surroundings_are_those_of_the_parent_now(light, monkeypatch, tmp_path, capfd):
    result(variable, "A", backend="jax")
    assert capfd.readouterr().out == "printed\n"
    monkeypatch.chdir(tmp_path)
    before = start._servers["jax"]
    assert result(variable, "A", backend="jax") == (None, str(tmp_path))
    assert start._servers["jax"] is before
    monkeypatch.setenv("A", "b")  # which a library may have read when it was imported
    assert result(variable, "A", backend="jax") == ("b", str(tmp_path))
    assert start._servers["jax"] is not before
    assert not psutil.pid_exists(before._process.pid)


def wait_for(path, send):
    send(os.getpid())
    while not path.exists():
        pass
    send("done")


def test_a_run_does_not_need_the_server_once_it_is_at_work(light, tmp_path):
    messages = call(wait_for, tmp_path / "file", backend="jax")
    next(messages)
    server = start._servers["jax"]
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait()
    (tmp_path / "file").touch()
    assert list(messages) == ["done"]
    assert result(variable, "A", backend="jax")[0] is None
    assert start._servers["jax"] is not server


def test_a_run_that_is_ended_before_it_began_says_nothing(light, capfd):
    start.process("jax").kill()
    assert result(variable, "A", backend="jax")[0] is None  # the server forks one after the other
    while psutil.Process(start._servers["jax"]._process.pid).children():
        time.sleep(0.01)
    assert capfd.readouterr().err == ""


def test_a_run_that_dies_with_the_server_is_known_to_have_died(light, tmp_path):
    messages = call(wait_for, tmp_path / "file", backend="jax")
    pid = next(messages)
    server = start._servers["jax"]
    for its_pid in (server._process.pid, pid):
        os.kill(its_pid, signal.SIGKILL)
    (failure,) = messages
    assert failure.status == "error"
    assert "ended together with" in failure.error


PARENT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, os.environ["LIGHT"])
from benchmarks import worker
from benchmarks.worker import programs, start

name = "tests.benchmarks.worker.test_server:wait_for"
messages = worker.run(name, Path("/no/such/file"), backend="jax", device="cpu")
assert programs.folder("jax").parent == Path(os.environ["TMPDIR"])
print(next(messages), start._servers["jax"]._process.pid, flush=True)
{end}
"""


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", "os.kill(os.getpid(), signal.SIGTERM)", ""]
)
def test_nothing_outlives_the_parent(light, end, tmp_path):
    """This holds for any end of the parent, and for files. The socket has no path, which could be
    too long."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PARENT.format(end=end)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(long), "LIGHT": str(tmp_path / "light")},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    for pid in map(int, done.stdout.split()):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=60)
    assert list(long.iterdir()) == []


def test_a_library_that_cannot_be_imported_is_named(light, monkeypatch, tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('No libcudart', name='x')")
    monkeypatch.syspath_prepend(tmp_path)
    failure = result(variable, "A", log=tmp_path / "log")
    assert failure == worker.Failure("error", "ModuleNotFoundError: No libcudart")
    assert "tensorflow.py" in Path(tmp_path / "log").read_text()
