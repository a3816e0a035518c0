import numpy as np
import pytest
from PIL import Image

from benchmarks.data import preparation, sources
from benchmarks.data.fingerprint import _files, fingerprint
from tests.benchmarks.data import sets


@pytest.fixture
def name(tmp_path):
    for split in ("train", "test"):
        for label in ("a", "b"):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for number in range(3):
                image = np.full((8, 8, 3), 40 * number, np.uint8)
                Image.fromarray(image).save(folder / f"{number}.png")
    return f"image_folder:{tmp_path / 'images'}"


def of(name):
    return fingerprint(sources.find(name, None))


def test_it_says_how_many_images_and_classes(name):
    assert of(name).startswith("6+6 images of 2 classes, ")


def test_it_changes_with_the_files_and_not_with_their_place(name, tmp_path):
    before = of(name)
    moved = tmp_path / "moved"
    (tmp_path / "images").rename(moved)
    name = f"image_folder:{moved}"
    assert of(name) == before
    one = moved / "train" / "a" / "0.png"
    content = one.read_bytes()
    one.unlink()
    assert of(name).startswith("5+6 images of 2 classes, ")
    one.write_bytes(content)
    assert of(name) == before
    one.write_bytes(content + b"more")
    assert of(name) != before
    one.write_bytes(content)
    (moved / "test" / "b" / "0.png").rename(moved / "test" / "b" / "4.png")
    assert of(name) != before


@pytest.mark.parametrize(("place", "seen"), [(0, True), (10_000, False), (-1, True)])
def test_an_edit_at_either_end_of_a_file_is_seen(name, tmp_path, place, seen):
    path = tmp_path / "images" / "train" / "a" / "0.png"
    content = bytearray(path.read_bytes() + bytes(20_000))
    path.write_bytes(content)
    files = [path] * 1000
    before = _files(tmp_path, files)
    content[place] ^= 1
    path.write_bytes(content)
    assert (_files(tmp_path, files) != before) == seen


def test_an_edited_image_of_a_builder_without_original_files_is_seen(
    by_class, tmp_path, monkeypatch
):
    name = f"{sets.__name__}:ByClass"
    before = fingerprint(sources.find(name, by_class))
    images = [example for _, example in sets.ByClass._generate_examples(None)]
    preparation.prepare(name, tmp_path / "again", None)
    # The set is in one file, not in three, and has no files for other backends.
    assert fingerprint(sources.find(name, tmp_path / "again")) == before
    images[17]["image"] = images[17]["image"] ^ 1
    monkeypatch.setattr(sets.ByClass, "_generate_examples", lambda _: enumerate(images))
    preparation.prepare(name, tmp_path / "edited", None)
    assert fingerprint(sources.find(name, tmp_path / "edited")) != before


def test_a_tfds_set_is_told_by_its_version_and_its_splits(data_dir):
    found = fingerprint(sources.find("digits", data_dir))
    assert found.startswith("1437+360 images of 10 classes, ")
    assert fingerprint(sources.find("digits:1.0.0", data_dir)) == found
