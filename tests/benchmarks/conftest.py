"""The command line as a user calls it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import worker
from benchmarks.run import RunConfig

Command = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]


def run_command(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="session")
def command() -> Command:
    return run_command


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the digits prepared for both backends, as `data prepare` does it."""
    folder = tmp_path_factory.mktemp("tfds")
    # Not by the command line, which would begin with a server of its own.
    prepared = worker.run(
        *("benchmarks.data.preparation:prepare_all", ["digits"], folder, None, "jax"),
        backend="tensorflow",
        device="cpu",
    )
    assert [name for name, _ in prepared] == ["digits"]
    return folder


@pytest.fixture
def config() -> RunConfig:
    """A run that takes a second."""
    return RunConfig(
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
