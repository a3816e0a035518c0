"""The message of a worker that has read images. Without TensorFlow, for the parent reads it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Verified:
    """What reading every image of a folder has shown."""

    name: str
    images: int
    damage: tuple[str, ...]
    """A line each damaged file."""
    converted: dict[str, int]
    """How many images are not in three colours, by what they are."""
    notes: tuple[str, ...]
    """What is left out, in a sentence each."""
