"""Folders of images like those of users."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.data import image_folder, images
from benchmarks.errors import InputError
from tests.benchmarks.data import loading

both_backends = pytest.mark.parametrize("backend", ["tensorflow", "jax"])

RED = (250, 10, 10)


@pytest.fixture
def pictures(tmp_path):
    """Return two classes with four red training images each, and one test image each."""
    for split, count in (("train", 4), ("test", 1)):
        for label in ("cat", "dog"):
            folder = tmp_path / "pictures" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (4, 4), RED).save(folder / f"{number}.png")
    return tmp_path / "pictures"


def load(folder, backend="jax", batch_size=1, **options):
    return loading.load(f"image_folder:{folder}", batch_size, 0, None, backend=backend, **options)


def count(batches):
    return sum(len(labels) for _, labels in batches)


def find(folder):
    return image_folder.find(f"image_folder:{folder}")


@both_backends
def test_the_name_of_a_file_does_not_say_what_it_is(pictures, backend):
    cat = pictures / "train" / "cat"
    red = Image.new("RGB", (4, 4), RED)
    red.save(cat / "webp.jpg", "WEBP", lossless=True)
    red.save(cat / "upper.PNG")
    red.save(cat / "picture", "BMP")
    red.save(cat / "old.webp", "WEBP", lossless=True)
    red.save(cat / "scan.TIF")
    red.save(cat / "one.gif")
    red.save(cat / "two.ppm")
    Image.new("CMYK", (4, 4), (5, 245, 245, 5)).save(cat / "print.jpg")
    loaded = load(pictures, backend)
    assert loaded.plan.source.images["train"] == 16
    for batch, _ in loaded.train:
        assert np.abs(batch - np.array(RED) / 255).max() < 0.04


@both_backends
def test_images_in_folders_in_a_class_belong_to_it(pictures, backend):
    for place in ("a", "b", "b/c"):  # several of one name
        (pictures / "train" / "dog" / place).mkdir()
        Image.new("RGB", (4, 4)).save(pictures / "train" / "dog" / place / "0.png")
    (pictures / "train" / "dog" / "b" / "again").symlink_to(pictures / "train" / "dog")
    loaded = load(pictures, backend)
    labels = np.concatenate([labels for _, labels in loaded.train])
    assert np.bincount(labels).tolist() == [4, 7]


def test_hidden_files_are_passed_over_and_others_are_counted(pictures):
    for hidden in (".DS_Store", "train/cat/._0.png", "train/.hidden", "train/cat/.note.txt"):
        (pictures / hidden).write_bytes(b"x")
    for folder in ("train/.ipynb_checkpoints", "__MACOSX/train", "train/dog/.cache"):
        (pictures / folder).mkdir(parents=True)
        (pictures / folder / "0.png").write_bytes(b"x")
    before = find(pictures)
    assert before.notes == ()
    assert len(before.splits["train"]) == 8
    for path in ("train/cat/a.json", "test/cat/b.txt", "train/dog/c.txt", "train/README"):
        (pictures / path).write_text("no image")
    Image.new("RGB", (4, 4)).save(pictures / "train" / "lost.png")
    after = find(pictures)
    assert after.splits == before.splits
    train, test = pictures / "train", pictures / "test"
    assert after.notes == (
        f"{train} has 1 images outside of the folders of classes; they are left out",
        f"{train} has files that are not images; they are left out: 1 without an ending, 1 .json, "
        "1 .txt",
        f"{test} has files that are not images; they are left out: 1 .txt",
    )
    verified = []
    image_folder.verify([before.name], verified.append)
    assert verified[0].notes == after.notes


@both_backends
def test_a_picture_is_turned_as_the_camera_was_held(tmp_path, backend):
    upright = np.zeros((6, 4, 3), np.uint8)
    upright[:3, :2] = 200
    for orientation, turns in ((1, 0), (3, 2), (6, 1), (8, 3)):
        exif = Image.Exif()
        exif[images.ORIENTATION] = orientation
        for split in ("train", "test"):
            for label in "ab":
                folder = tmp_path / split / label
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.rot90(upright, turns)).save(
                    folder / f"{orientation}.png", exif=exif
                )
    loaded = load(tmp_path, backend)
    assert loaded.image_shape == (6, 4, 3)
    for batch, _ in loaded.train:
        np.testing.assert_allclose(batch[0], upright / 255, atol=1e-6)


def grey16():
    return Image.fromarray(np.full((4, 4), 200 * 257, np.uint16))


def palette():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 200, 200])
    image.info["transparency"] = bytes([255, 0])
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (4, 4), 200),
        Image.new("LA", (4, 4), (200, 0)),
        Image.new("RGBA", (4, 4), (200, 200, 200, 0)),
        grey16(),
        palette(),
    ],
    ids=lambda image: image.mode,
)
def test_any_colours_become_three(tmp_path, image):
    image.save(tmp_path / "image.png")
    np.testing.assert_array_equal(
        images.decode(tmp_path / "image.png", 3), np.full((4, 4, 3), 200, np.uint8)
    )


def test_one_bit_becomes_three_colours(tmp_path):
    Image.new("1", (4, 4), 1).save(tmp_path / "image.png")
    assert images.decode(tmp_path / "image.png", 3).min() == 255


def test_a_picture_of_192_megapixels_is_read(tmp_path):
    Image.new("1", (16000, 12000)).save(tmp_path / "large.png")
    assert images.size(tmp_path / "large.png") == (12000, 16000)
    assert images.decode(tmp_path / "large.png", 1, (2, 2)).shape == (2, 2, 1)


@both_backends
def test_a_tree_without_splits(pictures, backend):
    for label in ("cat", "dog"):
        Image.new("RGB", (4, 4)).save(pictures / "train" / label / "black.png")
    loaded = load(pictures / "train", backend)
    assert (count(loaded.train), count(loaded.test)) == (8, 2)
    assert "20% of the training images" in loaded.plan.notes[0]


def test_splits_are_known_by_other_names(pictures):
    (pictures / "train").rename(pictures / "Training")
    (pictures / "test").rename(pictures / "VAL")
    loaded = load(pictures)
    assert (count(loaded.train), count(loaded.test)) == (8, 2)


@pytest.mark.parametrize("folder", [".", "unknown"])
def test_a_test_folder_without_labels_is_left_out_and_said(pictures, folder):
    for path in sorted((pictures / "test").glob("*/*.png")):
        (pictures / "test" / folder).mkdir(exist_ok=True)
        path.rename(pictures / "test" / folder / f"{path.parent.name}.png")
    for label in ("cat", "dog"):
        (pictures / "test" / label).rmdir()
    loaded = load(pictures)
    assert count(loaded.train) + count(loaded.test) == 8
    assert loaded.plan.notes[0] == (
        "test has no class of train: its 2 images have no labels and are left out"
    )


def test_what_is_not_in_order_is_named(pictures):
    (pictures / "train" / "bird").mkdir()
    with pytest.raises(InputError, match="train/bird has no image"):
        load(pictures)
    Image.new("RGB", (4, 4)).save(pictures / "train" / "bird" / "0.jpg")
    with pytest.raises(InputError, match="train and test have different classes: bird"):
        load(pictures)
    with pytest.raises(InputError, match="no such folder"):
        load("/nowhere")
    (pictures / "train").rename(pictures / "other")
    with pytest.raises(InputError, match="has test, but no folder train"):
        load(pictures)
    with pytest.raises(InputError, match="cat has no folder of a class with images"):
        load(pictures / "other" / "cat")


def test_one_class_is_no_task(pictures):
    for split in ("train", "test"):
        (pictures / split / "dog").rename(pictures / f"dog in {split}")
    with pytest.raises(InputError, match="has only one class"):
        load(pictures)
