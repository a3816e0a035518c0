"""What tells one state of a data set from another, without reading its images."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import own_code
from benchmarks.data.image_folder import ImageFolder
from benchmarks.data.own_data import OwnData
from benchmarks.data.sources import Source
from benchmarks.data.tfds_set import Tfds


def fingerprint(source: Source) -> str:
    """Return how many images and classes a data set has, and a digest of what it consists of.

    Of a TFDS data set: its version, the number of images in each split, and the checksums of its
    original files; of a folder: names and sizes of the files; of the user's own code: it, and the
    arrays that it made.
    It is the same on every machine and backend.
    """
    content: dict[str, Any] = {"code": own_code.digest(source.name)}
    match source.place:
        case ImageFolder() as folder:
            content["files"] = _files(
                folder.path, [path for files in folder.splits.values() for path, _ in files]
            )
        case OwnData(splits=splits):
            content["arrays"] = {split: _arrays(arrays) for split, arrays in splits.items()}
        case Tfds(builder):
            content["tfds"] = _tfds(builder)
    text = json.dumps(content, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[: own_code.DIGITS]
    images = "+".join(str(count) for count in source.images.values())
    return f"{images} images of {source.classes} classes, {digest}"


def _files(root: Path, files: Iterable[Path]) -> list[tuple[str, int]]:
    return sorted((path.relative_to(root).as_posix(), path.stat().st_size) for path in files)


def _arrays(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _tfds(builder: Any) -> dict[str, Any]:
    info = builder.info
    checksums = sorted(one.checksum for one in (builder.url_infos or {}).values())
    # Without original files there is nothing else to tell by what is in it.
    sizes = {} if checksums else {name: split.num_bytes for name, split in info.splits.items()}
    return {
        "name": info.full_name,
        "images": {name: split.num_examples for name, split in info.splits.items()},
        "checksums": checksums,
        "bytes": sizes,
    }
