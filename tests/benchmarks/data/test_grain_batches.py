"""Tests of reading without TensorFlow; test_batches.py tests what both readers do."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks.data import image_folder, images, on_disk, preparation
from benchmarks.errors import InputError
from tests.benchmarks.data import loading
from tests.benchmarks.data.conftest import damage, shard


def load(data_dir, batch_size=32, seed=0, name="digits", **options):
    return loading.load(name, batch_size, seed, data_dir, backend="jax", **options)


@pytest.fixture
def pictures(tmp_path):
    """Return a folder with twelve training images of noise and two test images."""
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 1)):
        for name in ("cat", "dog"):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = random.integers(0, 256, (16, 16, 3), np.uint8)
                (folder / f"{number}.png").write_bytes(tf.io.encode_png(noise).numpy())
    return f"image_folder:{tmp_path / 'pictures'}"


def test_an_epoch_has_every_image_once(data_dir):
    digits = load(data_dir, batch_size=479)  # a third of them
    digits.fill_caches()
    order, again = (
        [image.tobytes() for images, _ in digits.train for image in images] for _ in range(2)
    )
    assert len(set(order)) == 1437
    assert sorted(order) == sorted(again)
    assert order != again


@pytest.mark.parametrize("augment", [False, True])
def test_the_shares_of_the_processes_make_up_the_batches_of_one(pictures, augment):
    def epochs(*share):
        loaded = load(None, 4, 5, pictures, augment=augment, share=share)
        return [list(loaded.train) for _ in range(2)]

    whole, first, second = epochs(1, 0), epochs(2, 0), epochs(2, 1)
    assert [len(epoch) for epoch in whole] == [3, 3]
    found = (itertools.chain(*epochs) for epochs in (whole, first, second))
    for batch, *shares in zip(*found, strict=True):
        for array, *parts in zip(batch, *shares, strict=True):
            np.testing.assert_array_equal(array[0::2], parts[0])
            np.testing.assert_array_equal(array[1::2], parts[1])


def test_images_that_fill_no_batch_leave_every_process_as_many(data_dir):
    for name in (0, 1):  # 1,437 images: the first process has one more
        assert len(list(load(data_dir, 1436, share=(2, name)).train)) == 1


def test_any_batch_of_any_epoch_can_be_asked_for(data_dir):
    in_order = load(data_dir)
    in_order.fill_caches()
    labels = [labels for _ in range(3) for _, labels in in_order.train]
    train = load(data_dir).train
    for epoch, step in ((0, 0), (0, 1), (0, 0), (2, 5), (2, 6), (1, 43), (2, 0), (2, 43)):
        train.begin_epoch(epoch)
        np.testing.assert_array_equal(train[step][1], labels[44 * epoch + step])


def test_the_same_pixels_as_tensorflow(data_dir):
    for size in (None, 20, 5):
        one, other = (
            loading.load("digits", 360, 0, data_dir, backend=backend, image_size=size).test
            for backend in ("tensorflow", "jax")
        )
        (images_one, labels_one), (images_other, labels_other) = next(iter(one)), next(iter(other))
        np.testing.assert_array_equal(labels_one, labels_other)
        # Rounding after the interpolation.
        np.testing.assert_allclose(images_one, images_other, atol=0 if size is None else 1.01 / 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight(tmp_path, channels):
    deep = np.arange(0, 2**16, 2**8, np.uint16).reshape(16, 16, 1)
    png = tf.io.encode_png(deep).numpy()
    expected = tf.io.decode_image(png, channels=channels)
    np.testing.assert_array_equal(images.decode(png, channels), expected)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_damaged_image_stops_whoever_reads(pictures, monkeypatch, in_memory):
    monkeypatch.setattr(image_folder, "SIZED", 1)  # or it would be seen at once
    path = Path(pictures.partition(":")[2]) / "train" / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:100])
    loaded = load(None, 4, 0, pictures)
    with pytest.raises(InputError, match=rf"{path}: OSError: .*truncated"):
        loaded.fill_caches() if in_memory else list(loaded.train)


def cut_off(content):
    return content[:-100]


def halve(content):
    return content[: len(content) // 2]


def change_a_byte(content):
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


@pytest.mark.parametrize("spoil", [cut_off, halve, change_a_byte])
def test_a_damaged_array_record_is_named(copy, spoil):
    path = shard(copy, "train", "array_record")
    path.write_bytes(spoil(path.read_bytes()))
    (line,) = damage(copy)
    assert line.startswith(f"{path}: damaged after record ")
    with pytest.raises(
        InputError, match=r"digits': record \d+ cannot be read .*data verify` names"
    ):
        load(copy).fill_caches()


def test_a_set_prepared_for_tensorflow_is_made_ready_without_its_original_files(tmp_path):
    folder = preparation.prepare("digits", tmp_path, None)
    with pytest.raises(InputError, match=r"digits'.*data prepare --backend jax` adds them"):
        load(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.glob("digits-*")}
    assert preparation.prepare("digits", tmp_path, None, "jax") == folder
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert len(list(load(tmp_path).train)) == 44
    assert len(list(loading.load("digits", 32, 0, tmp_path).train)) == 44
    (digits,) = on_disk.find(tmp_path)
    assert digits.splits == {"train": 1437, "test": 360}
    assert damage(tmp_path) == ()


def test_a_set_in_several_files_has_the_same_images(by_class):
    assert len(list(by_class.glob("*/*/*-train.array_record-*-of-00003"))) == 3
    assert damage(by_class) == ()
    loaded = load(by_class, 1, name="by_class")
    found = (images for part in (loaded.train, loaded.test) for images, _ in part)
    assert sorted(round(float(images.max()) * 255) for images in found) == list(range(60))


def test_an_interruption_leaves_nothing_that_counts(tmp_path, monkeypatch):
    folder = preparation.prepare("digits", tmp_path, None)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preparation.random_access.json, "dumps", interrupt)
        with pytest.raises(KeyboardInterrupt):
            preparation.prepare("digits", tmp_path, None, "jax")
    assert "alternativeFileFormats" not in json.loads((folder / "dataset_info.json").read_text())
    preparation.prepare("digits", tmp_path, None, "jax")
    assert damage(tmp_path) == ()


class DeepPixels(tfds.core.GeneratorBasedBuilder):
    """Images of 16 bits a colour."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in ("train", "test")}

    def _generate_examples(self):
        for number in range(4):
            yield number, {"image": np.zeros((4, 4, 1), np.uint16), "label": 0}


def test_pixels_that_cannot_be_read_are_refused(tmp_path):
    preparation.prepare("deep_pixels", tmp_path, None, "jax")
    with pytest.raises(InputError, match="'deep_pixels': has images of 1 channels in uint16"):
        load(tmp_path, 2, name="deep_pixels")
