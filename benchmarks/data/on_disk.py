"""The data sets that are prepared on this disk, and whether they are complete.

They are found without TensorFlow, from the files that TFDS writes beside the data.
"""

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.errors import InputError, one_line


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file with records of a split."""

    path: Path
    file_format: str
    """TFDS's name of the format: "tfrecord" or, for the jax and torch backends, "array_record"."""
    split: str
    records: int
    """The number of records that the file should have."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A prepared data set on the disk."""

    name: str
    """The full name: name, or name/config, with the version."""
    folder: Path
    shards: tuple[Shard, ...]

    @property
    def data_dir(self) -> Path:
        """The folder of all data sets that this one is in."""
        return self.folder.parents[self.name.count("/") + 1]

    @property
    def splits(self) -> dict[str, int]:
        """The number of records of each split."""
        records: dict[str, int] = {}
        for shard in self.shards:
            if shard.file_format == self.shards[0].file_format:
                records[shard.split] = records.get(shard.split, 0) + shard.records
        return records

    def is_named(self, name: str) -> bool:
        """Say whether `name`, with or without version and config, means this data set."""
        base = self.name.partition(":")[0]
        return name in (self.name, base, base.split("/")[0])

    @property
    def size_mb(self) -> float:
        """The size of the shards on the disk, in 10^6 bytes."""
        return sum(shard.path.stat().st_size for shard in self.shards if shard.path.exists()) / 1e6


@dataclasses.dataclass(frozen=True)
class Verified:
    """The result of reading every record of a data set."""

    prepared: Prepared
    damage: tuple[str, ...]
    """A line for each damaged shard; empty if the data set is complete."""


def root(data_dir: Path | None) -> Path:
    """Return the folder with the data sets; None is TFDS's default."""
    return data_dir or Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")


def find(data_dir: Path | None) -> list[Prepared]:
    """Return the data sets that are prepared in `data_dir`, by name.

    Raises:
        InputError: the description of a data set cannot be read.
    """
    folder = root(data_dir)
    found = [
        read(path.parent, folder)
        for depth in ("*/*", "*/*/*")  # NAME/VERSION, NAME/CONFIG/VERSION
        for path in folder.glob(f"{depth}/dataset_info.json")
        if not path.parent.name.startswith("incomplete.")
    ]
    return sorted(found, key=lambda prepared: prepared.name)


def read(folder: Path, data_dir: Path) -> Prepared:
    """Return the data set in the folder of a version; `data_dir` is one or more levels above it.

    Raises:
        InputError: the description of the data set cannot be read.
    """
    try:
        info = json.loads((folder / "dataset_info.json").read_text())
        name = info["name"]
        # The same records may exist in several formats.
        formats = [info.get("fileFormat", "tfrecord"), *info.get("alternativeFileFormats", [])]
        shards = [
            Shard(
                folder / f"{name}-{split['name']}.{file_format}-{index:05}-of-{count:05}",
                file_format,
                split["name"],
                int(records),
            )
            for file_format in formats
            for split in info["splits"]
            for count in [len(split["shardLengths"])]
            for index, records in enumerate(split["shardLengths"])
        ]
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{folder / 'dataset_info.json'}: {one_line(error)}") from error
    name = "/".join(folder.parent.relative_to(data_dir).parts)
    return Prepared(f"{name}:{folder.name}", folder, tuple(shards))


def choose(found: Sequence[Prepared], names: Sequence[str]) -> list[Prepared]:
    """Return the data sets with these names, or all if there are no names.

    Raises:
        InputError: a data set of this name is not prepared.
    """
    for name in names:
        if not any(prepared.is_named(name) for prepared in found):
            raise InputError(
                "not prepared; "
                f"prepared are: {', '.join(prepared.name for prepared in found) or 'none'}",
                dataset=name,
            )
    return [p for p in found if not names or any(p.is_named(name) for name in names)]


def damage(folder: Path, data_dir: Path | None) -> list[str]:
    """Read every record of the data set in a folder; return a line for each damaged file."""
    return [line for one in find(data_dir) if one.folder == folder for line in _damage(one)]


def leftovers(data_dir: Path | None) -> list[Path]:
    """Return the folders of preparations that were interrupted or are still running."""
    return sorted(
        path
        for depth in ("*", "*/*")
        for path in root(data_dir).glob(f"{depth}/incomplete.*")
        if path.is_dir()
    )


def verify(all_prepared: Sequence[Prepared], send: Callable[[Verified], None]) -> None:
    """Read every record of every shard; send the result of each data set."""
    for prepared in all_prepared:
        send(Verified(prepared, tuple(_damage(prepared))))


def _damage(prepared: Prepared) -> Iterator[str]:
    readers = {"tfrecord": _read_tfrecord, "array_record": _read_array_record}
    for shard in prepared.shards:
        if not shard.path.exists():
            yield f"{shard.path}: is missing"
            continue
        if shard.file_format not in readers:
            yield f"{shard.path}: only the formats {' and '.join(readers)} can be verified"
            continue
        count = 0
        try:
            for _ in readers[shard.file_format](shard.path):
                count += 1
        except Exception as error:  # each format has its own
            found = re.search(r"(truncated|corrupted) record at \d+", str(error))
            what = f"{found[0]} bytes" if found else one_line(error)
            yield f"{shard.path}: damaged after record {count} of {shard.records}: {what}"
            continue
        if count != shard.records:
            yield f"{shard.path}: has {count} records instead of {shard.records}"


def _read_tfrecord(path: Path) -> Iterable[object]:
    import tensorflow as tf

    return tf.data.TFRecordDataset(str(path))  # each record has a checksum


def _read_array_record(path: Path) -> Iterator[object]:
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(str(path))
    for _ in range(reader.num_records()):
        yield reader.read()
    reader.close()  # raises if the number of records could not be read
