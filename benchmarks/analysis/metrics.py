"""The measured columns that are compared, and the text for a change in one of them."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NOT_MEASURED = "not measured"
"""The loss of a run that is ok but has no value. Such a run does not count as worse."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A column of a report, and how it is compared."""

    column: str
    scale: Literal["ratio", "difference"]
    higher: str
    """The word for a run with the higher value."""
    lower: str
    better: Literal["higher", "lower"]
    margin: float
    """The verdict is "no difference" if the interval excludes larger differences than this."""
    step: str | None = None
    """The column with the rounding of the values; None means that of a timing."""
    is_timing: bool = False

    def is_value(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which values can be compared; for ratios, 0 and below have no logarithm."""
        return np.isfinite(values) & ((values > 0) | (self.scale == "difference"))

    @property
    def without_value(self) -> str:
        """The words for a run that is ok and has no value."""
        return "target missed" if self.column.endswith("_to_target") else NOT_MEASURED


METRICS = (
    Metric("images_per_second", "ratio", "faster", "slower", "higher", 0.05, is_timing=True),
    Metric("step_ms_p50", "ratio", "slower", "faster", "lower", 0.05, is_timing=True),
    Metric("update_ms_p50", "ratio", "slower", "faster", "lower", 0.05, is_timing=True),
    Metric(
        *("test_accuracy", "difference", "more accurate", "less accurate", "higher", 0.01),
        step="test_accuracy_step",
    ),
    Metric(
        *("steps_to_target", "ratio", "more steps", "fewer steps", "lower", 0.05),
        step="to_target_step",
    ),
    Metric(
        *("seconds_to_target", "ratio", "slower", "faster", "lower", 0.05),
        step="to_target_step",
        is_timing=True,
    ),
)


def in_changes(metric: Metric, values: Sequence[float], as_factor: bool | None = None) -> str:
    """Return an effect or its interval as text.

    Args:
        metric: the metric of the effect.
        values: the effect, or the ends of its interval.
        as_factor: whether a ratio is written as a factor, not in per cent. None writes a factor if
        one of the values is far from 1. A caller that writes a whole column gives it, so that the
        column does not mix the two forms.
    """
    if metric.scale == "difference":
        return " to ".join(f"{value:+.4f}" for value in values)
    if as_factor is None:
        as_factor = is_far(metric, values)
    if not as_factor:
        return " to ".join(f"{100 * (value - 1):+.1f} %" for value in values)
    return " to ".join(f"x {value:.3g}" for value in values)


def is_far(metric: Metric, values: Sequence[float]) -> bool:
    """Whether one of these effects is a ratio far from 1, hard to read as a percentage."""
    return metric.scale == "ratio" and not all(0.5 < value < 2 for value in values)


def in_size(metric: Metric, value: float, as_factor: bool = False) -> str:
    """Return the size of an effect as text; a ratio's size is its distance from 1."""
    if metric.scale == "difference":
        return f"{value:.2g}"
    return f"x {1 + value:.3g}" if as_factor else f"{100 * value:.2g} %"
