"""Finds the TFDS builder of a data set by name, and chooses its splits."""

from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from benchmarks.data import (
    digits,  # noqa: F401  registers the embedded data set with TFDS
    on_disk,
    own_data,
)
from benchmarks.errors import InputError, one_line
from benchmarks.names import nearest

UNLABELLED_TEST = ("imagenet2012", "i_naturalist2017", "i_naturalist2018")
"""Data sets whose authors do not publish the labels of the test split; TFDS fills in -1."""

VALIDATION = ("validation", "val")
"""Names of the validation split. If there is no labelled test split, the accuracy on this split is
reported."""


def is_builder(found: Any) -> bool:
    """Say whether something is a builder, or a builder class."""
    kind = found if isinstance(found, type) else type(found)
    return issubclass(kind, tfds.core.DatasetBuilder)


def find(name: str, data_dir: Path | None) -> Any:
    """Return the `tfds.core.DatasetBuilder` of a data set.

    Args:
        name: name of a TFDS data set (`name`, `name/config` or `name:version`), name of a data set
            that is prepared in `data_dir`, or import path of a builder.
        data_dir: folder of the prepared data sets; None is TFDS's default.

    Raises:
        InputError: there is no such data set.
    """
    try:
        if own_data.is_path(name):
            found = own_data.call(name)
            if not is_builder(found):
                raise InputError("not a TFDS builder", dataset=name)
            return found(data_dir=data_dir) if isinstance(found, type) else found
        known = set(tfds.list_builders(with_community_datasets=False))
        base = name.split("/")[0].split(":")[0]
        if base in known:
            return tfds.builder(name, data_dir=data_dir, try_gcs=False)
        prepared = on_disk.find(data_dir)
        if any(one.is_named(name) for one in prepared):
            *_, newest = on_disk.choose(prepared, [name])
            return tfds.builder_from_directory(newest.folder)
    except InputError:
        raise
    except Exception as error:  # a wrong configuration or version, a damaged folder
        raise InputError(one_line(error), dataset=name) from error
    raise InputError(
        f"not a TFDS data set; {nearest(base, known)}; and it is not prepared in "
        f"{on_disk.root(data_dir)}",
        dataset=name,
    )


def splits(info: Any) -> tuple[str, str | None, str | None]:
    """Name the splits for training, validation and testing; None if there is none."""
    validation = next((name for name in VALIDATION if name in info.splits), None)
    if "test" in info.splits and info.name not in UNLABELLED_TEST:
        return "train", validation, "test"
    return "train", None, validation
