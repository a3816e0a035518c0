"""The images that are held out, by their labels, for every kind of data set."""

import numpy as np
import pytest

from benchmarks.data import sources, splits
from tests.benchmarks.data.loading import load
from tests.benchmarks.data.sets import write_folder

both_backends = pytest.mark.parametrize("backend", ["tensorflow", "jax"])


def labels(batches):
    return np.concatenate([labels for _, labels in batches])


def pixels(batches):
    return {image.tobytes() for images, _ in batches for image in np.asarray(images)}


def test_what_is_held_out_has_the_shares_of_the_classes():
    for sizes in ([10] * 10, [500, 3, 1, 0, 96]):
        of_all = np.repeat(np.arange(len(sizes)), sizes)
        for share in (0.01, 0.1, 0.5, 0.9):
            held = splits.hold_out(of_all, share)
            counts = np.bincount(of_all[held], minlength=len(sizes))
            assert (np.abs(counts - np.array(sizes) * share) <= 1).all()
            assert (counts < np.maximum(sizes, 1)).all()  # each class is trained on
            assert len(held) <= len(of_all) * share
            assert len(set(held)) == len(held)
    assert len(splits.hold_out(np.repeat([0, 1], 50), 0.31)) == 31


def test_what_is_held_out_is_not_the_first_of_a_class_nor_of_the_classes():
    held = splits.hold_out(np.repeat(np.arange(100), 10), 0.01)
    assert set(held // 10) != set(range(10))
    assert set(held % 10) != {0}


@both_backends
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_folder_sorted_by_class(tmp_path, backend, share):
    name = write_folder(tmp_path, {"train": 10, "test": 1})
    loaded = load(name, 2, 0, None, backend=backend, validation=share)
    each = int(10 * share)
    assert np.bincount(labels(loaded.validation)).tolist() == [each] * 10
    assert np.bincount(labels(loaded.train)).tolist() == [10 - each] * 10


@pytest.mark.parametrize("set_or_folder", ["set", "folder"])
def test_both_backends_hold_out_the_same_images(tmp_path, by_class, set_or_folder):
    name = "by_class"
    if set_or_folder == "folder":
        name = write_folder(tmp_path, {"train": 15, "test": 3}, classes=4)
    one, other = (
        load(name, 1, 0, by_class, backend=backend, validation=0.25)
        for backend in ("tensorflow", "jax")
    )
    for split in ("train", "validation", "test"):
        assert pixels(getattr(one, split)) == pixels(getattr(other, split))
    assert len(set(labels(one.validation))) == 4
    parts = [pixels(part) for part in (one.train, one.validation, one.test)]
    assert [len(part) for part in parts] == [36, 12, 12] if name == "by_class" else [45, 15, 12]
    assert len(set.union(*parts)) == sum(len(part) for part in parts)


def test_a_set_without_images_to_test_on_is_tested_on_each_class(by_class):
    loaded = load("by_class", 1, 0, by_class)
    assert np.bincount(labels(loaded.test)).tolist() == [3] * 4
    assert np.bincount(labels(loaded.train)).tolist() == [12] * 4
    assert loaded.validation is None


def test_labels_are_read_once(by_class, monkeypatch):
    place = sources.find("by_class", by_class).place
    labels = place.labels("train", "tensorflow")
    np.testing.assert_array_equal(labels, np.repeat(np.arange(4), 15))
    for unused in ("numbered", "_records"):
        monkeypatch.setattr(type(place), unused, None)
    np.testing.assert_array_equal(place.labels("train", "jax"), labels)


@both_backends
@pytest.mark.parametrize("name", ["validation", "valid", "val"])
def test_images_to_choose_by_are_used_where_there_are_some(tmp_path, backend, name):
    folder = write_folder(tmp_path, {"train": 3, name: 2, "test": 1}, classes=2)
    chosen_by = load(folder, 1, 0, None, backend=backend, validation=0.1)
    assert (len(pixels(chosen_by.train)), len(pixels(chosen_by.validation))) == (6, 4)
    assert len(pixels(chosen_by.test)) == 2
    assert load(folder, 1, 0, None, backend=backend).validation is None
