import pytest

from benchmarks.data import preparation
from benchmarks.errors import InputError


@pytest.fixture
def no_network(monkeypatch):
    for scheme in ("http", "https"):  # port 9 discards: nobody listens
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
        monkeypatch.delenv("no_proxy", raising=False)


@pytest.mark.usefixtures("no_network")
def test_without_network_the_two_ways_out_are_named(tmp_path):
    with pytest.raises(InputError, match=r"'cifar10': not prepared.*data_dir, manual_dir"):
        preparation.prepare("cifar10", tmp_path, None)


@pytest.mark.usefixtures("no_network")
def test_missing_original_files_are_named(tmp_path):
    with pytest.raises(
        InputError, match=r"does not contain.*t10k-images-idx3-ubyte\.gz.*no network"
    ):
        preparation.prepare("fashion_mnist", tmp_path / "data", tmp_path)


def test_a_wrong_original_file_is_refused(tmp_path):
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte.gz").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"'fashion_mnist': could not be prepared.*checksum"):
        preparation.prepare("fashion_mnist", tmp_path / "data", tmp_path)


def test_a_set_that_only_people_can_fetch_says_so(tmp_path):
    with pytest.raises(
        InputError, match=r"imagenet2012.*ILSVRC2012_img_train\.tar.*see manual_dir"
    ):
        preparation.prepare("imagenet2012", tmp_path, None)
