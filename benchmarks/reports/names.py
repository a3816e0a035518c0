"""What the optimizers of a folder are called on its page, and how they are drawn."""

import dataclasses
from collections.abc import Iterable, Mapping

import pandas as pd

from benchmarks.reports.labels import Labels, shorten
from benchmarks.reports.styles import Style, assign


@dataclasses.dataclass(frozen=True)
class Names:
    """Labels and styles of the optimizers, by the names that `observations` gives them."""

    labels: Labels
    styles: Mapping[str, Style]

    def series(
        self, frames: Iterable[tuple[str, pd.DataFrame]]
    ) -> list[tuple[str, Style, pd.DataFrame]]:
        """Put the labels and styles to the frames of these optimizers."""
        return [(self.labels[name], self.styles[name], frame) for name, frame in frames]

    def key(self) -> list[tuple[str, str]]:
        """Return the labels that leave something out, and what they stand for."""
        return [(label, name) for name, label in self.labels.items() if label != name]


def of(subjects: Iterable[str]) -> Names:
    """Name the optimizers of a folder."""
    labels = shorten(subjects)
    styles = assign(labels.values())
    return Names(labels, {name: styles[label] for name, label in labels.items()})
