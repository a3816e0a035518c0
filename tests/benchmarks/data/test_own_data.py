"""The user's own data: functions, and TFDS sets that TFDS itself does not know."""

import re
import shlex
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.__main__ import cli
from benchmarks.data import builders, on_disk, own_data, preparation
from benchmarks.data.fingerprint import fingerprint
from benchmarks.errors import InputError
from tests.benchmarks.conftest import ROOT
from tests.benchmarks.data import loading, sets

both_backends = pytest.mark.parametrize("backend", ["tensorflow", "jax"])

LABELS = np.repeat([0, 1, 2], 10)


def pictures(dtype=np.uint8, largest=255):
    """Return thirty images of three classes, sorted by class; the first pixel is the label."""
    images = np.random.default_rng(0).random((30, 4, 4, 1)) * largest
    images[:, 0, 0, 0] = LABELS * largest / 2
    images[0, 1, 1] = largest
    return images.astype(dtype)


def pair():
    return pictures(), LABELS


def two_pairs():
    return (pictures(), LABELS[:, None]), (pictures()[::3], LABELS[::3, None])


def dictionary():
    return {"train": pair(), "validation": pair(), "test": two_pairs()[1]}


def datasets():
    import tensorflow as tf

    train = tf.data.Dataset.from_tensor_slices(pair())
    return train, train.batch(7)


@pytest.fixture(autouse=True)
def own_call():
    own_data.call.cache_clear()


def load(function, backend="jax", **options):
    name = f"{__name__}:{function}"
    return loading.load(name, 2, 0, None, backend=backend, **options)


def labels(batches):
    return np.concatenate([labels for _, labels in batches])


@both_backends
@pytest.mark.parametrize(
    ("function", "counts"),
    [
        ("pair", (24, 0, 6)),
        ("two_pairs", (30, 0, 10)),
        ("dictionary", (30, 0, 10)),
        ("datasets", (30, 0, 30)),
    ],
)
def test_what_a_function_may_return(function, counts, backend):
    loaded = load(function, backend)
    columns = ("train_images", "validation_images", "test_images")
    assert tuple(loaded.plan.counts.get(name, 0) for name in columns) == counts
    assert (loaded.image_shape, loaded.classes) == ((4, 4, 1), 3)
    for split in (loaded.train, loaded.test):
        for images, labels in split:
            first = np.asarray(images)[:, 0, 0, 0]
            np.testing.assert_allclose(first, np.asarray(labels) / 2, atol=1 / 255)
    assert len(load("dictionary", backend, validation=0.1).validation) == 15


@both_backends
def test_what_is_held_out_of_arrays_sorted_by_class(backend):
    loaded = load("two_pairs", backend, validation=0.2)
    assert np.bincount(labels(loaded.validation)).tolist() == [2] * 3
    assert np.bincount(labels(loaded.train)).tolist() == [8] * 3


def test_other_arrays_are_other_data(monkeypatch):
    before = fingerprint(load("pair").plan.source)
    own_data.call.cache_clear()
    assert fingerprint(load("pair").plan.source) == before
    own_data.call.cache_clear()
    monkeypatch.setitem(globals(), "LABELS", LABELS[::-1].copy())
    assert fingerprint(load("pair").plan.source) != before


@both_backends
def test_arrays_are_brought_to_a_size(backend):
    images, _ = next(iter(load("pair", backend, image_size=8).test))
    assert images.shape == (2, 8, 8, 1)


@pytest.mark.parametrize(
    ("dtype", "largest", "taken_for"),
    [
        (np.uint8, 255, None),
        (np.float32, 1, "from 0 to 1"),
        (np.float64, 255, "from 0 to 255"),
        (np.int64, 255, "from 0 to 255"),
        (np.uint16, 65535, "of 16 bits"),
    ],
)
def test_what_pixels_are_is_told_and_said(dtype, largest, taken_for):
    found = own_data.arrays("own", (pictures(dtype, largest), LABELS))
    images, _ = found.splits["train"]
    scale = 255 if images.dtype == np.uint8 else 1
    np.testing.assert_allclose(images.max(), scale)
    np.testing.assert_allclose(images[:, 0, 0, 0] / scale, LABELS / 2, atol=1 / 255)
    assert [taken_for in note for note in found.notes] == [True] * (taken_for is not None)


def test_what_pixels_are_is_decided_of_all_splits_together():
    dark = pictures(np.float32, 1), LABELS
    found = own_data.arrays("own", ((pictures(np.float32, 255), LABELS), dark))
    assert found.splits["test"][0].max() == pytest.approx(1 / 255)


def test_labels_of_one_1_a_row():
    found = own_data.arrays("own", (pictures(), np.eye(3)[LABELS]))
    np.testing.assert_array_equal(found.splits["train"][1], LABELS)


def not_a_number():
    images = pictures(np.float32, 1)
    images[7, 2, 2] = np.nan
    return images


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "returned NoneType; the function must return"),
        ({"training": None}, r"a dictionary with \['training'\]"),
        ((pictures(), LABELS[:-1]), "train has 30 images and 29 labels"),
        ((pictures()[:0], LABELS[:0]), "train has no images"),
        ((pictures(), LABELS - 1), "train has the label -1"),
        ((pictures(), LABELS + 0.5), r"train has the label 0\.5"),
        ((pictures(), LABELS * np.nan), "train has the label nan"),
        ((pictures(), np.array(["a"] * 30)), "labels of shape .* and type <U1"),
        ((pictures(), LABELS + 1), "no training image has the label 0"),
        ((pictures(), LABELS * 2), "no training image has the label 1"),
        (((pictures(), LABELS), (pictures(), LABELS + 1)), "test has the label 3; .* end at 2"),
        ((not_a_number(), LABELS), "train has NaN or infinity in image 7"),
        ((pictures(np.float32, 2) - 1, LABELS), "numbers from -.* to 1; expected: 0 to 1"),
        ((pictures(np.float32, 300), LABELS), "numbers from 0 to 300; expected: 0"),
        ((pictures()[..., 0, 0], LABELS), r"images of shape \(30, 4\)"),
        ((np.zeros((30, 2, 4, 4)), LABELS), None),
        ((list(pictures()), LABELS.tolist()), None),
        ((list(pictures()[9:11]), [0, 1]), None),
        (([pictures()[0], pictures()[0, 1:]], [0, 1]), "train: ValueError: .*inhomogeneous"),
        ((np.zeros((30, 3, 4, 5)), LABELS), r"images of shape \(30, 3, 4, 5\)"),
        (((pictures(), LABELS), (np.zeros((30, 8, 8, 1)), LABELS)), "different shapes"),
    ],
)
def test_bad_data_are_named(returned, message):
    if message is None:
        own_data.arrays("own", returned)
        return
    with pytest.raises(InputError, match=rf"dataset 'own': .*{message}") as error:
        own_data.arrays("own", returned)
    assert "\n" not in str(error.value)


def test_data_that_never_end_are_refused():
    endless = tf.data.Dataset.from_tensor_slices(pair()).repeat()
    with pytest.raises(InputError, match="train never ends"):
        own_data.arrays("own", endless)


def test_a_function_that_needs_tensorflow_has_it(monkeypatch):
    """A process for JAX hides it until then."""
    shown = []

    def needs_tensorflow():
        if not shown:
            raise ModuleNotFoundError("this process has no TensorFlow", name="tensorflow")
        return pair()

    monkeypatch.setitem(globals(), "needs_tensorflow", needs_tensorflow)
    monkeypatch.setattr(own_data.tensorflow_module, "load", lambda: shown.append(True))
    assert len(load("needs_tensorflow").train) == 12
    assert shown == [True]


def fails():
    raise OSError("no such disk")


def test_a_function_that_fails_or_is_not_there_is_named():
    with pytest.raises(InputError, match=r"fails': OSError: no such disk"):
        load("fails")
    with pytest.raises(InputError, match="has no attribute 'nothing'"):
        load("nothing")


@both_backends
def test_a_set_that_lies_in_the_folder_of_data(data_dir, tmp_path, backend):
    """A script of the user has prepared such a set, and its class is not available."""
    for path in (data_dir / "digits" / "1.0.0").iterdir():
        new = tmp_path / "figures" / "1.0.0" / path.name.replace("digits", "figures")
        new.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        new.write_bytes(content.replace(b"digits", b"figures") if "json" in path.name else content)
    for name in ("figures", "figures:1.0.0"):
        (prepared,) = on_disk.choose(on_disk.find(tmp_path), [name])
        assert preparation.prepare(name, tmp_path, None, backend) == prepared.folder
        loaded = loading.load(name, 32, 0, tmp_path, backend=backend, validation=0.1)
        assert loaded.plan.counts["train_images"] == 1294
        assert len(labels(loaded.test)) == 360
        assert fingerprint(loaded.plan.source).startswith("1437+360 images of 10 classes")
    with pytest.raises(InputError, match="not a TFDS data set; "):
        builders.find("figure", tmp_path)


@both_backends
def test_a_builder_by_its_import_path(by_class, backend):
    name = f"{sets.__name__}:ByClass"
    assert preparation.prepare(name, by_class, None, backend) == by_class / "by_class" / "1.0.0"
    loaded = loading.load(name, 2, 0, by_class, backend=backend)
    assert np.bincount(labels(loaded.train)).tolist() == [12] * 4


def test_a_builder_whose_code_autograph_rewrites(tmp_path):
    name = f"{sets.__name__}:Branching"
    preparation.prepare(name, tmp_path, None, "tensorflow")
    loaded = loading.load(name, 2, 0, tmp_path, backend="tensorflow")
    assert np.bincount(labels(loaded.train)).tolist() == [24, 12, 12]
    for images, _ in loaded.train:
        brightness = np.round(images.numpy() * 255)
        assert ((brightness < 30) | (brightness > 195)).all()


@pytest.fixture(scope="module")
def wrong_labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong_labels")
    preparation.prepare(f"{sets.__name__}:WrongLabels", folder, None, "jax")
    return folder


@both_backends
@pytest.mark.parametrize(
    ("split", "validation", "message"),
    [
        ("train", 0.0, r"train has the label -1; expected: 0 to 2 \(TFDS takes -1 for"),
        ("train", 0.5, r"train has the label -1; expected: 0 to 2 \(TFDS takes -1 for"),
        ("test", 0.0, "test has the label 3; expected: 0 to 2"),
    ],
)
def test_labels_of_a_builder_that_are_no_classes(
    wrong_labels, monkeypatch, backend, split, validation, message
):
    monkeypatch.setattr(sets.WrongLabels, "CLASSES", 3)  # edited after it was prepared
    name = f"{sets.__name__}:WrongLabels"

    def read():
        loaded = loading.load(name, 2, 0, wrong_labels, backend=backend, validation=validation)
        try:
            list(getattr(loaded, split))
        except tf.errors.OpError:  # it has many lines
            raise loaded.failure() from None

    with pytest.raises(InputError, match=f"'wrong_labels': {message}"):
        read()


def test_a_label_that_tfds_refuses_is_named_and_no_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(sets.WrongLabels, "CLASSES", 3)
    with pytest.raises(InputError, match=r"could not be prepared: .*Class label 3") as error:
        preparation.prepare(f"{sets.__name__}:WrongLabels", tmp_path, None)
    assert "array" not in str(error.value)
    assert "\n" not in str(error.value)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_documentation(tmp_path, monkeypatch):
    """Each `data prepare` works, and each `train` gets a batch, on both backends."""
    page = (ROOT / "docs" / "own-data.md").read_text()
    (tmp_path / "mydata.py").write_text("\n".join(blocks(page, "python")))
    sets.write_folder(tmp_path / "flowers", {"train": 30, "val": 1, "test": 1}, classes=2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    digits = np.zeros((60, 28, 28), np.uint8), np.arange(60) % 10
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (digits, digits))
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    commands = [shlex.split(line.partition("python -m benchmarks ")[2]) for line in lines]
    trained = []
    for _, *words in [words for words in commands if words[:2] == ["data", "prepare"]]:
        options = cli.commands["data"].commands["prepare"].make_context("", words[1:]).params
        for name in options["datasets"]:
            preparation.prepare(name, options["data_dir"], None, "jax")
    for _, *words in [words for words in commands if words[0] == "train"]:
        options = cli.commands["train"].make_context("", words).params
        own_data.call.cache_clear()
        for backend in ("tensorflow", "jax"):
            size, share = options["batch_size"], options["validation"]
            places = size, 0, options["data_dir"]
            (name,) = options["datasets"]
            loaded = loading.load(name, *places, backend=backend, validation=share)
            assert next(iter(loaded.train))[1].shape == (size,)
        trained.append(name)
    own_data.call.cache_clear()
    loaded = loading.load("mydata:load_datasets", 20, 0, None)
    assert loaded.plan.counts == {"train_images": 240, "test_images": 60, "classes": 3}
    del sys.modules["mydata"]
    assert trained == [
        *("image_folder:flowers", "mydata:load", "keras.datasets.mnist:load_data", "my_set"),
    ]
