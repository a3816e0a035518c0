import os
import signal

import pytest

from benchmarks import worker
from benchmarks.config import InputError


def count(last, send):
    for number in range(last):
        send(number)
    print("counted")


def raise_error(error, send):
    raise error


def die(signal_number, send):
    send("last words")
    os.kill(os.getpid(), signal_number)


def run(function, *arguments, log=None):
    name = f"{__name__}:{function.__name__}"
    return list(worker.run(name, *arguments, backend="tensorflow", device="cpu", log=log))


def test_what_a_worker_sends_arrives_and_what_it_prints_is_logged(tmp_path):
    assert run(count, 3, log=tmp_path / "log") == [0, 1, 2]
    assert "counted" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("two\nlines"), "error", "ValueError: two lines"),
        (InputError("for the user"), "error", "for the user"),
        (MemoryError(), "oom", "MemoryError:"),
        (RuntimeError("RESOURCE_EXHAUSTED: out of memory"), "oom", "RuntimeError: RESOURCE_EX"),
    ],
)
def test_an_exception_is_a_message(error, status, line, tmp_path):
    (failure,) = run(raise_error, error, log=tmp_path / "log")
    assert failure.status == status
    assert failure.error.startswith(line)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, "oom"), (signal.SIGSEGV, "error")])
def test_death_is_a_message(number, status, tmp_path):
    words, failure = run(die, number, log=tmp_path / "log")
    assert words == "last words"
    assert failure.status == status
    assert signal.Signals(number).name in failure.error
