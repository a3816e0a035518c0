"""The labels of a folder's optimizers on its page, and their styles in plots."""

import dataclasses
from collections.abc import Iterable, Mapping

import pandas as pd

from benchmarks.reports.labels import Labels, shorten
from benchmarks.reports.styles import Style, assign


@dataclasses.dataclass(frozen=True)
class Names:
    """The labels and styles of the optimizers, by their names in `observations`."""

    labels: Labels
    styles: Mapping[str, Style]

    def series(
        self, frames: Iterable[tuple[str, pd.DataFrame]]
    ) -> list[tuple[str, Style, pd.DataFrame]]:
        """Join the labels and styles with the frames of these optimizers."""
        return [(self.labels[name], self.styles[name], frame) for name, frame in frames]

    def key(self) -> list[tuple[str, str]]:
        """Return the shortened labels, and their full names."""
        return [(label, name) for name, label in self.labels.items() if label != name]


def of(subjects: Iterable[str]) -> Names:
    """Choose labels and styles for the optimizers of a folder."""
    labels = shorten(subjects)
    styles = assign(labels.values())
    return Names(labels, {name: styles[label] for name, label in labels.items()})
