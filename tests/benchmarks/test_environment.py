import subprocess

import pytest

from benchmarks import environment
from benchmarks.store import schema


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a repository with the harness, as `git clone` makes it."""

    def git(*arguments):
        who = ("-c", "user.name=n", "-c", "user.email=e")
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True)

    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "environment.py").touch()
    git("init", "--quiet")
    git("add", "benchmarks")
    git("commit", "--quiet", "-m", "m")
    return tmp_path


def test_the_commit_is_that_of_the_checkout(checkout, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook
    found = environment.git_state(checkout)
    assert len(found["commit"]) == 40
    assert found["dirty"] is False
    (checkout / "new").touch()
    assert environment.git_state(checkout)["dirty"] is True


def test_a_package_that_lies_in_the_repository_of_another_project_has_no_commit(checkout):
    installed = checkout / ".venv" / "site-packages"
    (installed / "benchmarks").mkdir(parents=True)
    (installed / "benchmarks" / "environment.py").touch()
    assert environment.git_state(installed) == {"commit": None, "dirty": None}


def test_files_that_git_does_not_know_have_no_commit(tmp_path):
    assert environment.git_state(tmp_path) == {"commit": None, "dirty": None}


def test_the_environment_is_that_of_the_schema(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--a_flag")
    found = environment.environment("tensorflow")
    assert set(found) == set(schema.ENVIRONMENT) - {"started_at"}
    assert found["xla_flags"] == "--a_flag"
    assert found["memory_gb"] > 0
