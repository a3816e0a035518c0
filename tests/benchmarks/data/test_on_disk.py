"""The output of `data list` and `data verify`."""

import functools

import pytest
import tensorflow as tf

from benchmarks.commands.data import _remedy
from benchmarks.data import images, on_disk
from benchmarks.errors import InputError
from tests.benchmarks.conftest import run_command
from tests.benchmarks.data.conftest import damage, shard


def test_what_is_prepared_is_found(copy):
    (digits,) = on_disk.find(copy)
    assert digits.name == "digits:1.0.0"
    assert digits.folder == copy / "digits" / "1.0.0"
    assert digits.splits == {"train": 1437, "test": 360}
    assert 0 < digits.size_mb < 1
    assert on_disk.leftovers(copy) == []
    assert on_disk.find(copy / "nowhere") == []


def test_a_set_with_a_configuration_has_it_in_its_name(copy):
    (copy / "emnist" / "letters").mkdir(parents=True)
    (copy / "digits" / "1.0.0").rename(copy / "emnist" / "letters" / "1.0.0")
    (letters,) = on_disk.find(copy)
    assert letters.name == "emnist/letters:1.0.0"
    for name in ("emnist", "emnist/letters", "emnist/letters:1.0.0"):
        assert on_disk.choose([letters], [name]) == [letters]
    assert f"--data-dir {copy}" in _remedy(letters)


def test_what_an_interrupted_preparation_leaves_is_no_data_set(copy):
    left = copy / "digits" / "incomplete.ABC_1.0.0"
    (copy / "digits" / "1.0.0").rename(left)
    assert on_disk.find(copy) == []
    assert on_disk.leftovers(copy) == [left]


def test_whole_shards_are_whole(copy):
    assert damage(copy) == ()


def test_a_truncated_shard_is_named(copy):
    path = shard(copy, "train")
    path.write_bytes(path.read_bytes()[:-100])
    (line,) = damage(copy)
    assert line.startswith(f"{path}: damaged after record 143")
    assert "of 1437: truncated record" in line


def test_a_changed_byte_is_found(copy):
    path = shard(copy, "test")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (line,) = damage(copy)
    assert line.startswith(f"{path}: damaged after record")
    assert "corrupted record" in line


def test_lost_records_and_lost_files_are_found(copy):
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(shard(copy, "test")))]
    with tf.io.TFRecordWriter(str(shard(copy, "test"))) as writer:
        for record in records[:-1]:
            writer.write(record)
    shard(copy, "train").unlink()
    missing, short = damage(copy)
    assert missing.endswith("is missing")
    assert short.endswith("has 359 records instead of 360")


def test_a_damaged_description_is_named(copy):
    (copy / "digits" / "1.0.0" / "dataset_info.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset_info\.json: JSONDecodeError"):
        on_disk.find(copy)


run = functools.partial(run_command, "data")


def test_the_commands(copy):
    listed = run("list", "--data-dir", copy)
    assert listed.stdout.startswith("digits:1.0.0: train 1,437, test 360; 1.")
    assert run("verify", "--data-dir", copy).stdout.startswith("digits:1.0.0: all 1,797 records")
    path = shard(copy, "train")
    path.write_bytes(path.read_bytes()[:-100])
    damaged = run("verify", "--data-dir", copy, "--dataset", "digits")
    assert damaged.returncode == 1
    assert f"to repair digits:1.0.0: rm -r {copy}/digits/1.0.0 && python -m benchmarks data" in (
        damaged.stdout
    )


def test_a_folder_of_images_is_verified(tmp_path):
    for path in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / path).mkdir(parents=True)
        image = tf.io.encode_png(tf.zeros((4, 4, 1), tf.uint8)).numpy()
        (tmp_path / path / "0.png").write_bytes(image)
    (tmp_path / "test" / "b" / "0.png").write_bytes(b"no image")
    done = run("verify", "--dataset", f"image_folder:{tmp_path}")
    assert done.returncode == 1, done.stderr
    damaged, readable, grey = done.stdout.splitlines()
    words = f"is not an image in one of the formats {', '.join(images.FORMATS)}"
    assert damaged == f"{tmp_path}/test/b/0.png: {words}"
    train = ("train", "--dataset", f"image_folder:{tmp_path}", "--model", "mlp")
    (tmp_path / "train" / "b" / "0.png").write_bytes(b"no image")
    refused = run_command(*train, "--output", tmp_path / "report")
    assert refused.stderr.count("\n") == 1
    assert f"{tmp_path}/train/b/0.png: {words}" in refused.stderr
    assert done.stderr == ""  # the parent imported TensorFlow, which said so in five lines
    assert readable == f"image_folder:{tmp_path}: 3 of 4 images can be read"
    assert grey.endswith("3 are greyscale, and are converted to three colours")


def test_bad_input_is_one_line(copy):
    for arguments, message in (
        (("verify", "--data-dir", "/nowhere"), "/nowhere: nothing is prepared"),
        (("verify", "--data-dir", copy, "--dataset", "mnist"), "prepared are: digits:1.0.0"),
    ):
        done = run(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert run("list", "--data-dir", "/nowhere").stdout == "/nowhere: nothing is prepared\n"
