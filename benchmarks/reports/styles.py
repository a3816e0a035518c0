"""How an optimizer is drawn: one colour and one marker in all plots and folders."""

import dataclasses
import zlib
from collections.abc import Iterable

# Okabe and Ito's colours: all can be told apart by the colour-blind, most in grey too.
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
"""No two are equal; the first ones have no colour and no marker in common."""

FIXED = ("keras_adam", "adam", "rmsprop", "nesterov", "sgd", "momentum", "adamw")
"""Those that have the first styles in every folder, as far as it has them once."""


def assign(labels: Iterable[str]) -> dict[str, Style]:
    """Return a style for each label. No two have the same as long as there are styles."""
    names = list(dict.fromkeys(labels))
    places = {name: FIXED.index(name) for name in names if name in FIXED}
    for name in sorted(set(names) - set(places)):
        used = set(places.values())
        # Of a name that is not known, the same in most folders: where it falls, or the next.
        first = zlib.crc32(name.encode()) % len(COLOURS)
        order = [(first + n) % len(COLOURS) for n in range(len(COLOURS))]
        order += range(len(COLOURS), len(STYLES))
        places[name] = next((place for place in order if place not in used), first)
    return {name: STYLES[places[name]] for name in names}
