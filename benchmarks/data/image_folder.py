"""A folder of images, TRAIN-OR-TEST/CLASS/IMAGE, as a data set."""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import UnidentifiedImageError

from benchmarks import machine
from benchmarks.data import images
from benchmarks.data.verified import Verified
from benchmarks.errors import InputError, one_line

PREFIX = "image_folder:"
"""Before the path of the folder, in the place of the name of a data set."""

TEST = ("test", "validation", "val")
"""Names of the folder with the images that are reported: the first that is there."""

ENDINGS = (".jpg", ".jpeg", ".png")

OTHER_COLOURS = {
    "1": "greyscale",
    "L": "greyscale",
    "I;16": "greyscale",
    "LA": "greyscale with alpha",
    "RGBA": "colour with alpha",
}
"""By Pillow's mode: what becomes three colours."""


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """The files, by name; none of them has been read."""

    name: str
    path: Path
    classes: tuple[str, ...]
    train: tuple[Path, ...]
    test: tuple[Path, ...]

    def image_shape(self) -> tuple[int | None, int | None, int]:
        """Return the size of the first image of each class, if it is the same, and 3 channels."""
        sizes = set()
        for path in {path.parent.name: path for path in reversed(self.train)}.values():
            try:
                with images.open_image(path) as image:
                    sizes.add((image.height, image.width))
            except OSError:
                check(self.name)
                raise
        height, width = sizes.pop() if len(sizes) == 1 else (None, None)
        return height, width, 3

    def labels(self, files: Sequence[Path]) -> list[int]:
        """Return the number of the class of each of the files."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return [numbers[path.parent.name] for path in files]


def find(name: str) -> ImageFolder:
    """List the images of `image_folder:PATH`.

    Raises:
        InputError: there is no such folder, or it is not in order.
    """
    folder = Path(name.removeprefix(PREFIX))
    if not folder.is_dir():
        raise InputError("no such folder", dataset=name)
    tests = [folder / part for part in TEST if (folder / part).is_dir()]
    if not (folder / "train").is_dir() or not tests:
        raise InputError(
            "expected folders train and test (or val), with a folder of .jpg or .png images for "
            "each class in them",
            dataset=name,
        )
    classes, train = _list(folder / "train", name)
    test_classes, test = _list(tests[0], name)
    if classes != test_classes:
        unlike = ", ".join(sorted(set(classes) ^ set(test_classes)))
        raise InputError(f"train and {tests[0].name} have unlike classes: {unlike}", dataset=name)
    return ImageFolder(name, folder, classes, train, test)


def verify(names: Sequence[str], send: Callable[[Verified], None]) -> None:
    """Read every image of each folder; send what that shows, folder by folder."""
    for name in names:
        folder = find(name)
        files = [*folder.train, *folder.test]
        damage: list[str] = []
        converted: collections.Counter[str] = collections.Counter()
        with concurrent.futures.ThreadPoolExecutor(machine.usable_cores()) as threads:
            for mode, words in threads.map(_read, files):
                if words:
                    damage.append(words)
                elif mode in OTHER_COLOURS:
                    converted[OTHER_COLOURS[mode]] += 1
        send(Verified(name, len(files), tuple(damage), dict(converted)))


def check(name: str) -> None:
    """Raise an `InputError` that names the files that cannot be read, if there are any."""
    found: list[Verified] = []
    verify([name], found.append)
    if found[0].damage:
        others = f", and {len(found[0].damage) - 1} more" if len(found[0].damage) > 1 else ""
        raise InputError(f"{found[0].damage[0]}{others}", dataset=name)


def _list(folder: Path, name: str) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    if not classes:
        raise InputError(f"{folder} has no folder for a class", dataset=name)
    files: list[Path] = []
    for one in classes:
        found = sorted(path for path in one.iterdir() if path.suffix.lower() in ENDINGS)
        if not found:
            raise InputError(f"{one} has no image, {', '.join(ENDINGS)}", dataset=name)
        files += found
    return tuple(one.name for one in classes), tuple(files)


def _read(path: Path) -> tuple[str, str]:
    """Read an image; return Pillow's mode for it, and in words why it cannot be read."""
    try:
        with images.open_image(path) as image:
            image.load()
            return image.mode, ""
    except UnidentifiedImageError:
        return "", f"{path}: is no image of the formats {', '.join(images.FORMATS)}"
    except Exception as error:  # each format has its own
        return "", f"{path}: {one_line(error)}"
