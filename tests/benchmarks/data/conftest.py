import shutil

import pytest
import tensorflow_datasets as tfds

from benchmarks.data import builders, on_disk, preparation
from tests.benchmarks.data import sets


@pytest.fixture
def copy(data_dir, tmp_path):
    """Return prepared digits that a test may damage."""
    shutil.copytree(data_dir / "digits", tmp_path / "digits")
    return tmp_path


@pytest.fixture(scope="session")
def by_class(tmp_path_factory):
    """Return `sets.ByClass` in three files, for both backends."""
    folder, name = tmp_path_factory.mktemp("by_class"), f"{sets.__name__}:ByClass"
    builder = builders.find(name, folder)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    preparation.prepare(name, folder, None, "jax")
    return folder


def shard(folder, split, file_format="tfrecord"):
    (path,) = folder.glob(f"digits/*/digits-{split}.{file_format}*")
    return path


def damage(folder):
    verified = []
    on_disk.verify(on_disk.find(folder), verified.append)
    return verified[0].damage
