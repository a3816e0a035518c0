"""The message of a worker that has read images. The parent reads it without TensorFlow."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Verified:
    """The result of reading every image of a folder."""

    name: str
    images: int
    damage: tuple[str, ...]
    """A line for each damaged file."""
    converted: dict[str, int]
    """The number of images that are not in three colours, by their kind."""
    notes: tuple[str, ...]
    """The files that are left out, in one sentence each."""
