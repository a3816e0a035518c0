import atexit
import contextlib
import errno
import os
import signal
import sys
import threading
import time

import psutil
import pytest
import tensorflow as tf

from benchmarks import worker
from benchmarks.errors import InputError
from benchmarks.worker import child


def count(last, send):
    for number in range(last):
        send(number)
    print("counted")


def raise_error(error, send):
    raise error


def raise_and_abort(send):
    atexit.register(os.abort)  # as JAX does if the process that it was connected with has died
    raise ValueError("the reason")


def leave_to_the_end(folder, send):
    def touch_later():
        time.sleep(0.1)
        (folder / "thread").touch()

    atexit.register((folder / "atexit").touch)
    threading.Thread(target=touch_later).start()
    sys.stdout.write("no end of line")


def die(signal_number, send):
    send("last words")
    os.kill(os.getpid(), signal_number)


def sleep(send):
    send(os.getpid())
    time.sleep(600)


def run(function, *arguments, **options):
    name = f"{__name__}:{function.__name__}"
    return list(worker.run(name, *arguments, backend="tensorflow", device="cpu", **options))


def test_what_a_worker_sends_arrives_and_what_it_prints_is_logged(tmp_path):
    assert run(count, 3, log=tmp_path / "log") == [0, 1, 2]
    assert "counted" in (tmp_path / "log").read_text()


def test_what_is_left_to_the_end_of_a_worker_is_done(tmp_path):
    assert run(leave_to_the_end, tmp_path, log=tmp_path / "log") == []
    assert (tmp_path / "log").read_text() == "no end of line"
    assert {path.name for path in tmp_path.iterdir()} == {"log", "thread", "atexit"}


def test_bad_input_arrives_in_its_own_words(tmp_path):
    log = tmp_path / "log"
    assert run(raise_error, InputError("for the user"), log=log) == [
        worker.Failure("error", "for the user")
    ]
    assert log.read_text() == ""


def test_an_exception_arrives_and_its_traceback_is_logged(tmp_path):
    log = tmp_path / "log"
    assert run(raise_error, ValueError("two\nlines"), log=log) == [
        worker.Failure("error", "ValueError: two lines")
    ]
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("wrong"), "error"),
        (MemoryError(), "oom"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes"), "oom"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), "oom"),
    ],
)
def test_want_of_memory_has_its_own_status(error, status):
    assert child.failure(error).status == status


def test_death_arrives_after_the_last_words(tmp_path):
    words, failure = run(die, signal.SIGKILL, log=tmp_path / "log")
    assert words == "last words"
    assert failure == worker.Failure("error", "killed by SIGKILL")


def test_only_a_kill_that_linux_counts_is_for_want_of_memory(tmp_path, monkeypatch):
    """An earlier version called `kill -9` by the user "oom"."""
    counts = iter([3, 4])
    monkeypatch.setattr(worker.machine, "oom_kills", lambda: next(counts))
    assert run(die, signal.SIGKILL, log=tmp_path / "log")[-1].status == "oom"


def test_the_reason_is_kept_when_the_end_of_the_process_fails(tmp_path):
    messages = run(raise_and_abort, log=tmp_path / "log")
    assert messages == [worker.Failure("error", "ValueError: the reason")]


def test_what_killed_a_worker_is_named():
    assert worker._death(-signal.SIGSEGV) == worker.Failure("error", "killed by SIGSEGV")
    assert worker._death(3) == worker.Failure("error", "ended with exit code 3")


def test_a_worker_that_cannot_be_started_says_why():
    full = OSError(errno.ENOMEM, "Cannot allocate memory")
    assert worker._death(full).status == "oom"
    assert worker._death(OSError(errno.EAGAIN, "Try again")) == worker.Failure(
        "error", "did not start: BlockingIOError: [Errno 11] Try again"
    )


def test_a_worker_that_takes_too_long_is_ended():
    *pids, last = run(sleep, timeout=2)
    assert last == worker.Failure("timeout", "took longer than 2 seconds")
    assert not any(map(psutil.pid_exists, pids))


def double(receive, send):
    send("ready")
    while True:
        send(2 * receive())


def test_what_the_parent_says_arrives():
    messages = worker.run(f"{__name__}:double", backend="tensorflow", device="cpu", listens=True)
    with contextlib.closing(messages):
        assert next(messages) == "ready"
        assert [messages.send(number) for number in (1, 2)] == [2, 4]
