"""The wheel and the sdist, as a user gets them."""

import email
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import keras
import pytest

from keras_adam import Adam, AdamW

ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]  # building an sdist changes sys.argv
print(build_meta.build_sdist(out), build_meta.build_wheel(out))
"""
A_USERS_SCRIPT = """
import keras_adam
from keras_adam import Adam, AdamW

optimizer: Adam = Adam(1e-3, lazy=True, state_dtype=None, master_weights="stochastic")
decaying: Adam = AdamW(weight_decay=0.01)
optimizer.skip_nonfinite = True
version: str = keras_adam.__version__
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build both from the files in git, without other files of this folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, out], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Return a Python with the wheel and its dependencies, and nothing of this folder."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    # Python ignores .pth files in a folder of a .pth line, so an editable install is not found.
    (packages / "dependencies.pth").write_text(f"{Path(keras.__file__).parents[1]}\n")
    return folder / "bin" / "python"


def run(python, code, cwd, **environment):
    return subprocess.run(
        [python, "-c", code],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_wheel_holds_the_optimizer_and_nothing_else(built):
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"keras_adam"}
    assert "keras_adam/py.typed" in names
    on_disk = {str(path.relative_to(ROOT)) for path in (ROOT / "keras_adam").rglob("*.py")}
    assert on_disk <= set(names)


def test_sdist_holds_tests_harness_and_changelog(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "docs/package.md"} <= names
    for folder in ("benchmarks", "tests", "keras_adam"):
        on_disk = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.py")}
        assert on_disk <= names
    assert "benchmarks/programs/targets.toml" in names


def test_metadata_is_what_an_index_shows(built):
    wheel = zipfile.ZipFile(next(built.glob("*.whl")))
    name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = email.message_from_bytes(wheel.read(name))
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    description = metadata.get_payload()
    assert description.startswith("# keras_adam")
    links = re.findall(r"\]\(([^)]*)\)", description)
    assert all(link.startswith("https://") for link in links)


def test_wheel_trains_in_an_empty_environment(installed, tmp_path):
    # The user's own package `benchmarks` is still imported.
    (tmp_path / "benchmarks.py").write_text("MINE = True\n")
    done = run(
        installed,
        "import benchmarks, keras, keras_adam; assert benchmarks.MINE\n"
        "v = keras.Variable([1.0]); keras_adam.Adam(0.1).apply([keras.ops.ones(1)], [v])\n"
        "print(keras_adam.__file__, float(v[0]))",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    file, value = done.stdout.split(maxsplit=1)
    assert Path(file).is_relative_to(installed.parents[1])
    assert 0.89 < float(value) < 0.91


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_missing_backend_is_one_clear_line(installed, tmp_path, backend):
    hidden = f"""
import importlib.abc, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == {backend!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
import keras_adam
"""
    done = run(installed, hidden, tmp_path, KERAS_BACKEND=backend)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: Keras's backend is not installed")
    assert f"No module named '{backend}" in last
    assert "pip install tensorflow" in last
    assert "During handling" not in done.stderr


@pytest.mark.parametrize(
    "checker",
    [["mypy", "--strict", "--python-executable"], ["pyright", "--warnings", "--pythonpath"]],
)
def test_a_users_script_has_no_type_errors(installed, tmp_path, checker):
    (tmp_path / "script.py").write_text(A_USERS_SCRIPT)
    command = [sys.executable, "-m", *checker, str(installed), "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def test_repr_says_what_is_not_the_default():
    assert repr(Adam()) == "keras_adam.Adam(learning_rate=0.001)"
    assert repr(AdamW()) == "keras_adam.AdamW(learning_rate=0.001)"
    text = repr(Adam(0.1, beta_1=0.8, lazy=True, name="mine"))
    assert text == "keras_adam.Adam(learning_rate=0.1, beta_1=0.8, lazy=True)"


def test_repr_of_what_varies():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    assert repr(Adam(schedule)) == "keras_adam.Adam(learning_rate=ExponentialDecay)"
    optimizer = Adam(weight_decay=keras.Variable(0.25))
    assert repr(optimizer) == "keras_adam.Adam(learning_rate=0.001, weight_decay=0.25)"
    optimizer.learning_rate = 0.5
    assert "learning_rate=0.5" in repr(optimizer)


def test_repr_in_a_trace_has_no_value():
    optimizer, texts = Adam(), []

    def trace(epsilon):
        optimizer.epsilon = epsilon
        texts.append(repr(optimizer))
        return epsilon

    keras.ops.vectorized_map(trace, keras.ops.ones(2))
    assert all("learning_rate=" in text and "epsilon=<" in text for text in texts)
    assert texts
