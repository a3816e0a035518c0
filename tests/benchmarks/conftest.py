"""The command line as a user calls it."""

import contextlib
import dataclasses
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import filelock
import pytest

from benchmarks import worker
from benchmarks.__main__ import main
from benchmarks.run import RunConfig
from tests.processes import FAST_COMPILATION

Command = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]


def run_command(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, in this process, or in another one if the environment differs.

    So the libraries of a backend are imported only once for all tests of this process.
    """
    words = ["benchmarks", *map(str, arguments)]
    if environment:
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
    output, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        contextlib.chdir(ROOT),
        mock.patch.object(sys, "argv", words),
    ):
        code = main()
    return subprocess.CompletedProcess(words, code, output.getvalue(), errors.getvalue())


@pytest.fixture(scope="package", autouse=True)
def workers_compile_fast() -> Iterator[None]:
    """Let the workers compile fast. The environment of the tests stays, and so do the servers."""
    variables = worker._variables

    def with_fast_compilation(*arguments: Any) -> dict[str, str]:
        found = variables(*arguments)
        flags = found.get("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))
        return found | {"XLA_FLAGS": f"{flags} {FAST_COMPILATION}".strip()}

    with mock.patch.object(worker, "_variables", with_fast_compilation):
        yield


@pytest.fixture(scope="session")
def command() -> Command:
    return run_command


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the digits, prepared for both backends like `data prepare` does.

    All processes of a session have one folder.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tfds"
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.exists():
            # The command line is not used, because it would start its own server.
            prepared = worker.run(
                *("benchmarks.data.preparation:prepare_all", ["digits"], folder, None, "jax"),
                backend="tensorflow",
                device="cpu",
            )
            assert [name for name, _ in prepared] == ["digits"]
    return folder


RUN = RunConfig(
    dataset="digits",
    model="mlp",
    optimizer="adam",
    learning_rate=0.001,
    seed=0,
    epochs=1,
    batch_size=32,
    device="cpu",
    backend="tensorflow",
    jit_compile="auto",
)


@pytest.fixture(scope="session")
def config() -> RunConfig:
    """Return a run that takes a second."""
    return RUN


@pytest.fixture(scope="session")
def tiny_config() -> RunConfig:
    """Return a run that takes less, because its images need not be decoded."""
    return dataclasses.replace(
        RUN, dataset="tests.benchmarks.tiny:images", model="tests.benchmarks.tiny:dense"
    )
