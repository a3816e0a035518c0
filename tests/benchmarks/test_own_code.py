import importlib

import pytest

from benchmarks import own_code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    files = {
        "mine.py": "import own_helper\ndef make():\n    from own_package.part import part\n",
        "own_helper.py": "import json, numpy\nfrom own_last import x\n",
        "own_last.py": "x = 1\n",
        "own_package/__init__.py": "",
        "own_package/part.py": "from . import beside\nfrom .below.deep import deep\n",
        "own_package/beside.py": "from ..nowhere import x\n",
        "own_package/below/deep.py": "deep = 1\n",
        "own_package/other.py": "",
        "unrelated.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    importlib.invalidate_caches()
    return tmp_path


IMPORTED = ("mine.py", "own_helper.py", "own_last.py", "own_package/__init__.py")
IN_PACKAGE = ("own_package/part.py", "own_package/beside.py", "own_package/below/deep.py")


@pytest.mark.parametrize("name", [*IMPORTED, *IN_PACKAGE])
def test_an_edit_of_what_is_imported_changes_the_digest(folder, name):
    before = own_code.digest("mine:make")
    assert len(before) == own_code.DIGITS
    with (folder / name).open("a") as file:
        file.write("# edited\n")
    assert own_code.digest("mine:make") != before


@pytest.mark.parametrize("name", ["unrelated.py", "own_package/other.py", "new.py"])
def test_an_edit_of_another_file_does_not(folder, name):
    before = own_code.digest("mine:make")
    (folder / name).write_text("# edited")
    assert own_code.digest("mine:make") == own_code.digest("mine:other") == before


def test_a_module_in_a_package_is_found_with_its_package(folder):
    before = own_code.digest("own_package.part:part")
    (folder / "own_package/below/deep.py").write_text("deep = 2")
    assert own_code.digest("own_package.part:part") != before


def test_the_digest_does_not_depend_on_where_the_code_lies(folder, tmp_path_factory, monkeypatch):
    before = own_code.digest("mine:make")
    other = tmp_path_factory.mktemp("other")
    for name in (*IMPORTED, *IN_PACKAGE):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes((folder / name).read_bytes())
    monkeypatch.syspath_prepend(other)
    importlib.invalidate_caches()
    assert own_code.digest("mine:make") == before


def test_what_is_installed_has_its_version(folder):
    assert own_code.digest("numpy:array").startswith("numpy ")
    assert own_code.digest("keras.optimizers:Lion") is None


@pytest.mark.parametrize("path", ["mlp", "nowhere.at.all:x", "mnist:3.0.1", "image_folder:/a/b"])
def test_what_is_no_import_path_has_none(path):
    assert own_code.digest(path) is None


def test_a_file_that_is_no_python_has_a_digest(folder):
    (folder / "own_last.py").write_text("x = (")
    assert own_code.digest("mine:make") is not None
