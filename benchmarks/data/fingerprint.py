"""A digest of a data set, which changes with the data. Only a part of the data is read."""

import concurrent.futures
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import own_code
from benchmarks.data import on_disk
from benchmarks.data.image_folder import ImageFolder
from benchmarks.data.own_data import OwnData
from benchmarks.data.sources import Source
from benchmarks.data.tfds_set import Tfds

BLOCK_BYTES = 4096
"""The number of bytes read at the beginning of a file, and at its end."""

FILES, THREADS = 256, 16
"""The number of files that a thread reads before it takes others, and the number of threads. There
are many threads, because on a network disk each thread waits."""


def fingerprint(source: Source) -> str:
    """Return the numbers of images and classes of a data set, and a digest of its content.

    For a TFDS data set, the digest covers the version, the number of images in each split, and the
    checksums of the original files. If there are no original files, it covers the checksums of the
    records. For a folder, it covers the names and sizes of the files, and `BLOCK_BYTES` at both
    ends of each file. For the user's own code, it covers the code and the arrays that the code
    returned. The digest is the same on every machine and backend.

    At most 8,192 bytes of each file are read, which is 9.8 GB for 1.2 million files. For a record,
    16 bytes are read, and the disk reads one or two pages for them.
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


def _files(root: Path, files: Iterable[Path]) -> str:
    """Return a digest of the name, the size, and both ends of each file."""
    in_order = sorted((path.relative_to(root).as_posix(), path) for path in files)

    def digest(some: Sequence[tuple[str, Path]]) -> bytes:
        found = hashlib.sha256()
        for name, path in some:
            with path.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                found.update(f"{name}/{size}/".encode() + file.read(BLOCK_BYTES))
                if size > BLOCK_BYTES:
                    file.seek(max(BLOCK_BYTES, size - BLOCK_BYTES))
                    found.update(file.read(BLOCK_BYTES))
        return found.digest()

    parts = [in_order[first : first + FILES] for first in range(0, len(in_order), FILES)]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
        return hashlib.sha256(b"".join(threads.map(digest, parts))).hexdigest()


def _arrays(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _tfds(builder: Any) -> dict[str, Any]:
    info = builder.info
    checksums = sorted(one.checksum for one in (builder.url_infos or {}).values())
    return {
        "name": info.full_name,
        "images": {name: split.num_examples for name, split in info.splits.items()},
        "checksums": checksums,
        # Without original files, only the records say what is in the data set.
        "records": None if checksums else _records(Path(builder.data_dir)),
    }


def _records(folder: Path) -> str | dict[str, str]:
    """Return digests of the records of a prepared data set; for TFRecord files, one for each split.

    The digest of a split does not depend on the number of its files. Only the files of the first
    format are read, because files of a second format, for another backend, hold the same records.
    """
    first, *others = on_disk.read(folder, folder.parent).shards
    shards = [first, *(one for one in others if one.file_format == first.file_format)]
    if first.file_format != "tfrecord":
        return _files(folder, [shard.path for shard in shards])
    splits = {shard.split: hashlib.sha256() for shard in shards}
    for shard in shards:
        for sums in _checksums(shard.path):
            splits[shard.split].update(sums)
    return {split: digest.hexdigest() for split, digest in splits.items()}


def _checksums(path: Path) -> Iterator[bytes]:
    """Generate, for each record of a TFRecord file, its length and both checksums.

    See https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
    """
    size = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        while len(head := file.read(12)) == 12:
            end = file.tell() + int.from_bytes(head[:8], "little")
            if end > size:  # the file is damaged; the reader of the images says so
                return
            file.seek(end)
            yield head + file.read(4)
