"""A folder of images, TRAIN-OR-TEST/CLASS/IMAGE or CLASS/IMAGE, as a data set."""

import collections
import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import UnidentifiedImageError

from benchmarks import machine
from benchmarks.data import images
from benchmarks.data.image_reader import ImageReader
from benchmarks.data.verified import Verified
from benchmarks.errors import InputError, one_line
from benchmarks.networks import Shape

PREFIX = "image_folder:"
"""The prefix of a folder's path in place of the name of a data set."""

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""The names of the folder of each split, in small or capital letters."""

ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif"),
)
"""Endings of names of images. Other files are recognised as images by their first bytes."""

NO_CLASSES = ("__MACOSX",)
"""Folders that are ignored, beside those whose name begins with a dot."""

SIZED = 256
"""The number of images, spread evenly over the classes, whose size is read."""

OTHER_COLOURS = {
    **dict.fromkeys(("1", "L", "I", "I;16", "I;16B"), "greyscale"),
    **dict.fromkeys(("LA", "La"), "greyscale with alpha"),
    **dict.fromkeys(("RGBA", "RGBa", "PA"), "colour with alpha"),
    "CMYK": "CMYK",
}
"""The words for images that are converted to three colours, by Pillow's mode."""

Record = tuple[Path, int]
"""An image file, and the number of its class."""


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """The image files by name; no image is decoded yet."""

    name: str
    path: Path
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Record, ...]]
    """The records of "train" and, if they exist, of "validation" and "test"."""
    notes: tuple[str, ...]
    """The parts of the folder that are not used, in one sentence each."""

    def image_shape(self) -> tuple[int | None, int | None, int]:
        """Return the size of the images if all have the same, and 3 channels."""
        files = [path for path, _ in self.splits["train"]]
        some = np.linspace(0, len(files) - 1, min(len(files), SIZED)).astype(int)
        sizes = set()
        for path in [files[number] for number in some]:
            try:
                sizes.add(images.size(path))
            except Exception as error:  # each format has its own
                raise InputError(_problem(path, error), dataset=self.name) from error
        height, width = sizes.pop() if len(sizes) == 1 else (None, None)
        return height, width, 3

    def labels(self, split: str, backend: str) -> np.ndarray:
        """Return the number of the class of each image of a split, for any backend."""
        return np.array([label for _, label in self.splits[split]])

    def reader(self, split: str, image_shape: Shape, threads: int) -> ImageReader:
        """Return the images of a split by number."""
        return ImageReader(self.name, self.splits[split], image_shape, threads)


def find(name: str) -> ImageFolder:
    """List the images of `image_folder:PATH`.

    Raises:
        InputError: there is no such folder, or its content is wrong.
    """
    folder = Path(name.removeprefix(PREFIX))
    if not folder.is_dir():
        raise InputError("no such folder", dataset=name)
    parts = _splits(folder)
    if not parts:
        parts = {"train": folder}
    if "train" not in parts:
        there = " and ".join(path.name for path in parts.values())
        raise InputError(f"has {there}, but no folder train", dataset=name)
    listed = {split: _Listed(path) for split, path in parts.items()}
    classes = tuple(listed["train"].classes)
    if not classes:
        raise InputError(
            f"{parts['train']} has no folder of a class with images; expected: CLASS/IMAGE, or "
            "train/CLASS/IMAGE and test/CLASS/IMAGE",
            dataset=name,
        )
    splits: dict[str, tuple[Record, ...]] = {}
    notes: list[str] = []
    for split, found in listed.items():
        if found.empty:
            raise InputError(f"{found.empty[0]} has no image", dataset=name)
        if split != "train" and not set(classes) & set(found.classes):
            notes.append(
                f"{parts[split].name} has no class of train: its {found.images} images have no "
                "labels and are left out"
            )
            continue
        if unlike := sorted(set(classes) ^ set(found.classes)):
            raise InputError(
                f"{parts['train'].name} and {parts[split].name} have different classes: "
                f"{', '.join(unlike)}",
                dataset=name,
            )
        splits[split] = tuple(
            (path, label) for label, one in enumerate(classes) for path in found.classes[one]
        )
        notes += found.notes()
    return ImageFolder(name, folder, classes, splits, tuple(notes))


def verify(names: Sequence[str], send: Callable[[Verified], None]) -> None:
    """Read every image of each folder; send the results folder by folder."""
    for name in names:
        folder = find(name)
        files = [path for split in folder.splits.values() for path, _ in split]
        damage: list[str] = []
        converted: collections.Counter[str] = collections.Counter()
        with concurrent.futures.ThreadPoolExecutor(machine.usable_cores()) as threads:
            for mode, words in threads.map(_read, files):
                if words:
                    damage.append(words)
                elif mode in OTHER_COLOURS:
                    converted[OTHER_COLOURS[mode]] += 1
        send(Verified(name, len(files), tuple(damage), dict(converted), folder.notes))


class _Listed:
    """The content of the folder of a split."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.classes: dict[str, list[Path]] = {}
        """The images of each class that has images, by its name, in order."""
        self.empty: list[Path] = []
        """The folders of classes without images."""
        self._others: collections.Counter[str] = collections.Counter()
        """The number of files that are not images, by the ending of their name."""
        self._unlabelled = 0
        """The number of images outside of the folders of classes."""
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or path.name in NO_CLASSES:
                continue
            if path.is_dir():
                if found := [file for file in _files(path) if self._is_image(file)]:
                    self.classes[path.name] = found
                else:
                    self.empty.append(path)
            elif self._is_image(path):
                self._unlabelled += 1

    @property
    def images(self) -> int:
        return self._unlabelled + sum(map(len, self.classes.values()))

    def notes(self) -> Iterator[str]:
        """Say what is left out."""
        if self._unlabelled:
            yield (
                f"{self._folder} has {self._unlabelled} images outside of the folders of classes; "
                "they are left out"
            )
        if self._others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self._others.most_common())
            yield f"{self._folder} has files that are not images; they are left out: {kinds}"

    def _is_image(self, file: Path) -> bool:
        if file.suffix.lower() in ENDINGS or images.is_image(file):
            return True
        self._others[file.suffix.lower() or "without an ending"] += 1
        return False


def _splits(folder: Path) -> dict[str, Path]:
    """Return the folder of each split: the first name of `SPLITS` that exists."""
    there = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return {
        split: there[next(name for name in names if name in there)]
        for split, names in SPLITS.items()
        if set(names) & set(there)
    }


def _files(folder: Path) -> Iterator[Path]:
    """Generate the files in a folder and its subfolders in order, without hidden ones."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link to a folder above it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _read(path: Path) -> tuple[str, str]:
    """Read an image; return its mode in Pillow, and in words why it cannot be read."""
    try:
        images.decode(path, 3)
        with images.open_image(path) as image:
            return image.mode, ""
    except Exception as error:  # each format has its own
        return "", _problem(path, error)


def _problem(path: Path, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"{path}: is not an image in one of the formats {', '.join(images.FORMATS)}"
    return f"{path}: {one_line(error)}"
