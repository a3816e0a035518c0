import time
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks import machine
from benchmarks.data import augmentation, builders, plan, preparation, tensorflow_batches
from benchmarks.data import image_folder as folders
from benchmarks.data.waiting import Waiting
from benchmarks.errors import InputError
from tests.benchmarks.data.loading import load

both_backends = pytest.mark.parametrize("backend", ["tensorflow", "jax"])


def listed(dataset):
    return [(np.asarray(images), np.asarray(labels)) for images, labels in dataset]


def different_images(dataset):
    return {image.tobytes() for images, _ in listed(dataset) for image in images}


@both_backends
def test_the_digits_are_all_there(data_dir, backend):
    digits = load("digits", batch_size=479, seed=0, data_dir=data_dir, backend=backend)
    train, test = listed(digits.train), listed(digits.test)
    assert (digits.image_shape, digits.classes, digits.steps_per_epoch) == ((8, 8, 1), 10, 3)
    assert [images.shape for images, _ in train] == [(479, 8, 8, 1)] * 3
    labels = np.concatenate([labels for _, labels in test])
    assert len(labels) == 360  # the last batch is smaller, and not lost
    assert set(np.bincount(labels)) <= {35, 36, 37}
    images = np.concatenate([images for images, _ in train + test])
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert len({image.tobytes() for image in images}) == 1437 + 360  # no image is in both


@both_backends
def test_the_seed_sets_the_order_and_every_epoch_has_its_own(by_class, backend):
    def first_epochs(seed):
        loaded = load("by_class", 4, seed, by_class, backend=backend)
        loaded.fill_caches()
        return [np.concatenate([images for images, _ in listed(loaded.train)]) for _ in range(2)]

    one, again, other = first_epochs(1), first_epochs(1), first_epochs(2)
    np.testing.assert_array_equal(one, again)
    assert (one[0] != one[1]).any()
    assert (one[0] != other[0]).any()
    assert (one[1] != other[0]).any()


@both_backends
@pytest.mark.parametrize("name", ["digits", "folder"])
def test_the_images_that_fill_no_batch_are_others_in_each_epoch(
    data_dir, image_folder, backend, name
):
    count, batch_size = (1437, 1300) if name == "digits" else (10, 7)
    if name == "folder":
        name = f"image_folder:{image_folder}"
    loaded = load(name, batch_size, 0, data_dir, image_size=8, backend=backend)
    (note,) = loaded.plan.notes
    assert note.startswith(f"{count - batch_size} of {count} training images, different ones")
    loaded.fill_caches()
    epochs = [different_images(loaded.train) for _ in range(6)]
    # The images of both classes in the folder differ only in their size.
    assert len(set.union(*epochs)) == (count if name == "digits" else 5)
    if name == "digits":
        assert {len(epoch) for epoch in epochs} == {batch_size}
        assert epochs[0] != epochs[1]


def test_shapes_are_static(data_dir):
    digits = load("digits", 32, 0, data_dir)
    assert digits.train.element_spec[0] == tf.TensorSpec((32, 8, 8, 1), tf.float32)


@both_backends
@pytest.mark.parametrize("memory", [2**40, 1])
def test_images_that_are_held_out_are_not_trained_on(by_class, monkeypatch, backend, memory):
    monkeypatch.setattr(machine, "memory_bytes", lambda: memory)
    one, other_seed = (
        load("by_class", 3, seed, by_class, validation=0.2, backend=backend) for seed in (0, 1)
    )
    parts = [different_images(part) for part in (one.train, one.validation, one.test)]
    assert different_images(other_seed.validation) == parts[1]
    assert [len(part) for part in parts] == [39, 9, 12]
    assert len(set.union(*parts)) == 60


@both_backends
def test_waiting_is_measured(by_class, backend):
    assert load("by_class", 4, 0, by_class, backend=backend).waited is None
    loaded = load("by_class", 4, 0, by_class, data_wait=True, backend=backend)
    assert loaded.waited() == 0
    begin = time.perf_counter()
    assert len(listed(loaded.train)) == 12
    assert 0 < loaded.waited() <= time.perf_counter() - begin


def test_tf_data_waits_for_as_long_as_a_batch_takes():
    def slow(number):
        tf.py_function(lambda: time.sleep(0.01), [], [])
        return number, number

    waiting = Waiting()
    watched = waiting.measure(tf.data.Dataset.range(20).map(slow))
    begin = time.perf_counter()
    listed(watched)
    assert 0.2 <= waiting.seconds() <= time.perf_counter() - begin


@both_backends
def test_a_number_of_threads_reads_the_same(by_class, backend):
    one, five = (
        listed(load("by_class", 4, 0, by_class, data_workers=workers, backend=backend).train)
        for workers in (1, 5)
    )
    assert len(one) == 12
    np.testing.assert_array_equal([images for images, _ in one], [images for images, _ in five])


def augment_with_tensorflow(image, seed):
    """Return a function that makes the next epoch: one image 64 times, in two batches."""
    source = tf.data.Dataset.from_tensors((image, 7)).repeat(64).batch(32, drop_remainder=True)
    changed = augmentation.augment(source, seed)

    def epoch():
        found = listed(changed)
        assert {int(label) for _, labels in found for label in labels} == {7}
        return np.concatenate([images for images, _ in found])

    return epoch


def augment_with_numpy(image, seed):
    random = np.random.default_rng(seed)
    return lambda: augmentation.move(
        np.stack([image] * 64), augmentation.draw(random, 64, image.shape[:2])
    )


@pytest.mark.parametrize("augment", [augment_with_tensorflow, augment_with_numpy])
def test_augmentation_flips_and_shifts_anew_in_every_epoch(augment):
    image = np.zeros((16, 16, 3), np.uint8)
    image[6, 6] = 200
    one, again = augment(image, seed=1), augment(image, seed=1)
    epochs = [one(), one()]
    np.testing.assert_array_equal(epochs[0], again())
    assert (epochs[0] != epochs[1]).any()
    assert epochs[0].sum(axis=(1, 2, 3)).tolist() == [600] * 64  # nothing is lost at this place
    places = {tuple(np.argwhere(image[..., 0])[0]) for image in np.concatenate(epochs)}
    rows, columns = zip(*places, strict=True)
    assert set(rows) == set(range(4, 9))
    assert set(columns) == {*range(4, 9), *range(7, 12)}


def test_a_set_without_colours_is_not_augmented(data_dir):
    with pytest.raises(InputError, match="augment: digits has no colour images"):
        load("digits", 32, 0, data_dir, augment=True)


@pytest.fixture
def image_folder(tmp_path):
    """Return a folder with ten training images of two sizes and classes, and two test images."""
    for split, count in (("train", 5), ("val", 1)):
        for size, name in ((20, "cat"), (30, "dog")):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = np.full((size, size, 3), number, np.uint8)
                (folder / f"{number}.png").write_bytes(tf.io.encode_png(image).numpy())
    return tmp_path / "images"


@both_backends
def test_a_folder_of_images(image_folder, backend):
    name = f"image_folder:{image_folder}"
    assert preparation.prepare(name, None, None) == image_folder
    folder = load(name, 2, 0, None, validation=0.2, backend=backend)
    assert (folder.image_shape, folder.classes, folder.steps_per_epoch) == ((224, 224, 3), 2, 4)
    assert len(listed(folder.train)) == 4
    assert sorted(label for _, labels in listed(folder.test) for label in labels) == [0, 1]


@pytest.mark.parametrize(
    ("backend", "shuffled_bytes"), [("tensorflow", 2**29), ("tensorflow", 4 * 10), ("jax", None)]
)
def test_the_order_is_the_same_on_a_machine_with_less_memory(
    by_class, image_folder, monkeypatch, backend, shuffled_bytes
):
    monkeypatch.setattr(tensorflow_batches, "SHUFFLED_BYTES", shuffled_bytes)
    epochs = {}
    for memory in (2**40, 1):
        monkeypatch.setattr(machine, "memory_bytes", lambda memory=memory: memory)
        for name, batch_size in (("by_class", 5), (f"image_folder:{image_folder}", 2)):
            options = {"validation": 0.2, "image_size": 2, "backend": backend}
            loaded = load(name, batch_size, 3, by_class, **options)
            assert bool(loaded.caches) == (memory > 1)
            loaded.fill_caches()
            epochs[name, memory] = [
                np.concatenate([images.ravel() for images, _ in listed(loaded.train)])
                for _ in range(2)
            ]
    for name in ("by_class", f"image_folder:{image_folder}"):
        np.testing.assert_array_equal(epochs[name, 2**40], epochs[name, 1])
        assert (epochs[name, 1][0] != epochs[name, 1][1]).any()


def write_image(path, image):
    path.write_bytes(tf.io.encode_png(np.asarray(image, np.uint8)).numpy())


@both_backends
def test_images_of_one_size_keep_it_unless_another_is_asked_for(image_folder, backend):
    for path in image_folder.glob("*/dog/*.png"):
        write_image(path, np.full((20, 20, 3), 9))
    name = f"image_folder:{image_folder}"
    assert load(name, 2, 0, None, backend=backend).image_shape == (20, 20, 3)
    small = load(name, 2, 0, None, image_size=8, backend=backend)
    assert small.image_shape == (8, 8, 3)
    assert {images.shape for images, _ in listed(small.train)} == {(2, 8, 8, 3)}


@both_backends
def test_any_set_is_brought_to_the_size_asked_for(data_dir, backend):
    digits = load("digits", 32, 0, data_dir, image_size=12, backend=backend)
    assert digits.image_shape == (12, 12, 1)
    assert next(iter(digits.train))[0].shape == (32, 12, 12, 1)


@both_backends
def test_grey_and_transparent_images_become_three_colours(image_folder, backend):
    write_image(image_folder / "train" / "cat" / "0.png", np.full((20, 20, 1), 7))
    write_image(image_folder / "train" / "cat" / "1.png", np.full((20, 20, 4), 8))
    name = f"image_folder:{image_folder}"
    loaded = load(name, 2, 0, None, image_size=20, backend=backend)
    images = np.concatenate([images for images, _ in listed(loaded.train)])
    assert images.shape == (10, 20, 20, 3)
    verified = []
    folders.verify([name], verified.append)
    assert verified[0].converted == {"greyscale": 1, "colour with alpha": 1}
    assert (verified[0].images, verified[0].damage) == (12, ())


def test_every_damaged_image_is_named(image_folder):
    cut = image_folder / "train" / "dog" / "3.png"
    cut.write_bytes(cut.read_bytes()[:40])
    empty = image_folder / "val" / "cat" / "0.png"
    empty.write_bytes(b"")
    name = f"image_folder:{image_folder}"
    verified = []
    folders.verify([name], verified.append)
    assert [line.split(": ")[0] for line in verified[0].damage] == [str(cut), str(empty)]


@both_backends
@pytest.mark.parametrize("memory", [2**40, 1])
def test_a_damaged_image_is_named(image_folder, monkeypatch, backend, memory):
    monkeypatch.setattr(machine, "memory_bytes", lambda: memory)
    monkeypatch.setattr(folders, "SIZED", 1)  # or it would be seen at once
    cut = image_folder / "train" / "dog" / "3.png"
    cut.write_bytes(cut.read_bytes()[:60])
    loaded = load(f"image_folder:{image_folder}", 2, 0, None, backend=backend)
    assert loaded.failure() is None
    with pytest.raises((InputError, tf.errors.InvalidArgumentError), match=str(cut)):
        loaded.fill_caches() if loaded.caches else listed(loaded.train)
    if backend == "tensorflow":  # whose own error is many lines
        assert str(cut) in str(loaded.failure())


@both_backends
def test_a_set_too_large_for_the_memory_is_not_kept_there(data_dir, monkeypatch, backend):
    in_memory = load("digits", 32, 0, data_dir, backend=backend)
    room_for_1000_images = 1000 * 64 / machine.memory_bytes()
    monkeypatch.setattr(plan, "LARGEST_SHARE_OF_MEMORY", room_for_1000_images)
    from_disk = load("digits", 32, 0, data_dir, backend=backend)
    assert (len(in_memory.caches), len(from_disk.caches)) == (2, 0)
    assert len(listed(from_disk.train)) == 44


class SomeSizes(tfds.core.GeneratorBasedBuilder):
    """Ten white images of different sizes, like photographs, and no test split."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(num_classes=2),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(10):
            image = np.full((20 + number, 30, 3), 255, np.uint8)
            yield number, {"image": image, "label": number % 2}


@both_backends
def test_images_of_any_size_are_resized_and_a_test_split_is_held_out(tmp_path, backend):
    preparation.prepare("some_sizes", tmp_path, None, backend)
    loaded = load("some_sizes", 2, 0, tmp_path, backend=backend)
    train, test = listed(loaded.train), listed(loaded.test)
    assert loaded.image_shape == (224, 224, 3)
    assert {images.shape for images, _ in train + test} == {(2, 224, 224, 3)}
    assert all((images == 1).all() for images, _ in train + test)
    assert sorted(label for _, labels in train + test for label in labels) == [0] * 5 + [1] * 5
    assert sorted(label for _, labels in test for label in labels) == [0, 1]


@pytest.mark.parametrize(
    ("name", "splits", "used"),
    [
        ("cifar10", {"train", "test"}, ("train", None, "test")),
        ("imagenet2012", {"train", "validation", "test"}, ("train", None, "validation")),
        ("oxford_flowers102", {"train", "validation", "test"}, ("train", "validation", "test")),
        ("imagenette", {"train", "validation"}, ("train", None, "validation")),
        ("tf_flowers", {"train"}, ("train", None, None)),
    ],
)
def test_the_split_that_is_reported_has_labels(name, splits, used):
    assert builders.splits(types.SimpleNamespace(name=name, splits=splits)) == used


@pytest.mark.parametrize(
    ("name", "batch_size", "message"),
    [
        (
            "digit",
            32,
            "'digit': not a TFDS data set; did you mean digits.*; and it is not prepared",
        ),
        ("mnist:9.9.9", 32, "mnist:9.9.9"),
        ("emnist/nothing", 32, "emnist/nothing"),
        ("imdb_reviews", 32, "not a data set of images"),
        ("digits", 1438, "digits has only 1437 training images"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(data_dir, name, batch_size, message):
    with pytest.raises(InputError, match=message):
        load(name, batch_size, 0, data_dir)


def test_two_processes_prepare_one_data_set_once(tmp_path, monkeypatch):
    builder = builders.find("digits", tmp_path)

    class Lock:
        """Replaces the wait until another process has prepared the data set."""

        def __init__(self, path):
            assert path.parent == tmp_path

        def __enter__(self):
            builder.download_and_prepare()

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(preparation.filelock, "FileLock", Lock)
    monkeypatch.setattr(preparation.originals, "check", lambda *_: pytest.fail("prepares again"))
    assert preparation.prepare("digits", tmp_path, None) == tmp_path / "digits" / "1.0.0"
