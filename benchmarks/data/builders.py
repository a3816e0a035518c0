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
"""Names of the split that is reported where there is no labelled test split; where there is one,
of the split to choose by."""


def find(name: str, data_dir: Path | None) -> Any:
    """Return the `tfds.core.DatasetBuilder` of a data set.

    Args:
        name: name of a TFDS data set, `name`, `name/config` or `name:version`.
        data_dir: where prepared data sets lie; None is TFDS's default.

    Raises:
        InputError: there is no such data set.
    """
    known = set(tfds.list_builders(with_community_datasets=False))
    base = name.split("/")[0].split(":")[0]
    if base not in known:
        raise InputError(f"not a TFDS data set; {nearest(base, known)}", dataset=name)
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except Exception as error:  # a wrong configuration or version, a damaged folder
        raise InputError(one_line(error), dataset=name) from error


def splits(info: Any) -> tuple[str, str | None, str | None]:
    """Name the splits to train on, to choose by and to report; None where there is none."""
    validation = next((name for name in VALIDATION if name in info.splits), None)
    if "test" in info.splits and info.name not in UNLABELLED_TEST:
        return "train", validation, "test"
    return "train", None, validation
