"""From the name of a data set to its TFDS builder, and which of its splits are used."""

from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from benchmarks.data import digits  # noqa: F401  registers the embedded data set with TFDS
from benchmarks.errors import InputError, one_line
from benchmarks.names import nearest

UNLABELLED_TEST = ("imagenet2012", "i_naturalist2017", "i_naturalist2018")
"""Sets whose authors keep the labels of the test split; TFDS fills in -1."""

VALIDATION = ("validation", "val")
"""Names of the split that is reported where there is no labelled test split."""

IMAGE_FOLDER = "image_folder:"
"""Before the path of a folder of images, TRAIN-OR-TEST/CLASS/IMAGE, in the place of a name."""


def find(name: str, data_dir: Path | None) -> Any:
    """Return the `tfds.core.DatasetBuilder` of a data set.

    Args:
        name: name of a TFDS data set, `name`, `name/config` or `name:version`,
            or `image_folder:PATH`.
        data_dir: where prepared data sets lie; None is TFDS's default.

    Raises:
        InputError: there is no such data set.
    """
    if name.startswith(IMAGE_FOLDER):
        return _image_folder(name)
    known = set(tfds.list_builders(with_community_datasets=False))
    base = name.split("/")[0].split(":")[0]
    if base not in known:
        raise InputError(f"not a TFDS data set; {nearest(base, known)}", dataset=name)
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except Exception as error:  # a wrong configuration or version, a damaged folder
        raise InputError(one_line(error), dataset=name) from error


def _image_folder(name: str) -> Any:
    folder = Path(name.removeprefix(IMAGE_FOLDER))
    if not folder.is_dir():
        raise InputError("no such folder", dataset=name)
    builder = tfds.ImageFolder(str(folder))
    splits = set(builder.info.splits)
    if "train" not in splits or not splits & {"test", *VALIDATION}:
        raise InputError(
            "expected folders train and test (or val), with a folder of .jpg or .png images for "
            "each class in them",
            dataset=name,
        )
    return builder


def splits(info: Any) -> tuple[str, str]:
    """Name the training split and the split that is reported."""
    if "test" in info.splits and info.name not in UNLABELLED_TEST:
        return "train", "test"
    for name in VALIDATION:
        if name in info.splits:
            return "train", name
    return "train[:80%]", "train[80%:]"
