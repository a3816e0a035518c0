import shutil

import pytest

from benchmarks.data import on_disk


@pytest.fixture
def copy(data_dir, tmp_path):
    """Prepared digits that may be damaged."""
    shutil.copytree(data_dir / "digits", tmp_path / "digits")
    return tmp_path


def shard(folder, split, file_format="tfrecord"):
    (path,) = folder.glob(f"digits/*/digits-{split}.{file_format}*")
    return path


def damage(folder):
    verified = []
    on_disk.verify(on_disk.find(folder), verified.append)
    return verified[0].damage
