"""The style of an optimizer: one colour and one marker in all plots and folders."""

import dataclasses
import zlib
from collections.abc import Iterable

# Okabe and Ito's colours. Colour-blind people can tell all apart; most differ in grey too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = "osD^vPX"


@dataclasses.dataclass(frozen=True)
class Style:
    """A colour and a marker."""

    colour: str
    marker: str


STYLES = tuple(
    Style(colour, MARKERS[(number + shift) % len(MARKERS)])
    for shift in range(len(MARKERS))
    for number, colour in enumerate(COLOURS)
)
"""All styles; no two are equal, and the first ones share no colour and no marker."""

FIXED = ("keras_adam", "adam", "rmsprop", "nesterov", "sgd", "momentum", "adamw")
"""The labels that always have the first styles, in this order."""


def assign(labels: Iterable[str]) -> dict[str, Style]:
    """Return a style for each label; all differ as long as there are enough styles."""
    names = list(dict.fromkeys(labels))
    places = {name: FIXED.index(name) for name in names if name in FIXED}
    for name in sorted(set(names) - set(places)):
        used = set(places.values())
        # Another label gets the style of its hash, or the next free style. So it has the same style
        # in most folders.
        first = zlib.crc32(name.encode()) % len(COLOURS)
        order = [(first + n) % len(COLOURS) for n in range(len(COLOURS))]
        order += range(len(COLOURS), len(STYLES))
        places[name] = next((place for place in order if place not in used), first)
    return {name: STYLES[places[name]] for name in names}
