"""The plots of a report: data frames in, PNG files in memory out."""

import io
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours: all can be told apart by the colour-blind, most in grey too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = "osD^vPX"
WIDTH, HEIGHT, DOTS_PER_INCH = 5.2, 3.4, 160
"""Of a plot, in inches: its text stays legible on a phone."""


def curves(
    series: Sequence[tuple[str, pd.DataFrame]],
    x: str,
    y: str,
    x_label: str,
    y_label: str,
    target: float | None = None,
) -> bytes:
    """Draw `y` against `x`: the median over the runs as a line, their range as a band.

    Args:
        series: a name, and a row each run and epoch with the columns
            `epoch`, `x` and `y`.
        x: column.
        y: column.
        x_label: what `x` is, with its unit.
        y_label: what `y` is, with its unit.
        target: value of `y` to mark.
    """
    figure, axes = _axes(x_label, y_label)
    for number, (name, frame) in enumerate(series):
        by_epoch = frame.groupby("epoch")
        across, values = by_epoch[x].median(), by_epoch[y]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(
            *(across, values.median()),
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            label=_name(name),
        )
        axes.fill_between(across, values.min(), values.max(), color=colour, alpha=0.15, lw=0)
    if target is not None:
        axes.axhline(target, color="grey", linestyle=":", label=f"target {target:g}")
    return _png(figure, axes)


def best_of_k(series: Sequence[tuple[str, pd.DataFrame]]) -> bytes:
    """Draw what a search of k trials gives: the median as a line, the interval as a band.

    Args:
        series: a name, and a row each k with the columns `k`, `median`, `low`, `high`.
    """
    figure, axes = _axes("trials", "test accuracy of the best")
    for number, (name, frame) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(frame["k"], frame["median"], color=colour, marker=marker, ms=4, label=_name(name))
        axes.fill_between(frame["k"], frame["low"], frame["high"], color=colour, alpha=0.15, lw=0)
    return _png(figure, axes)


def percentiles(series: Sequence[tuple[str, pd.DataFrame]]) -> bytes:
    """Draw, for each run, a line from the median over the 90th to the 99th percentile of a step.

    Args:
        series: a name, and a row each run with the columns `step_ms_p50`,
            `step_ms_p90` and `step_ms_p99`.
    """
    figure, axes = _axes("milliseconds a step", "")
    position = 0
    for number, (name, frame) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        for row in frame.itertuples():
            values = row.step_ms_p50, row.step_ms_p90, row.step_ms_p99
            label = _name(name) if row.Index == frame.index[0] else None
            axes.plot(values, [position] * 3, color=colour, marker="|", label=label)
            axes.plot(values[:1], [position], color=colour, marker="o", markersize=4)
            position += 1
        position += 1
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    return _png(figure, axes)


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _name(text: str) -> str:
    """Keep Matplotlib from reading a name as a formula or, with an underscore, as none."""
    return " " + text.replace("$", r"\$")


def _png(figure: Figure, axes: Axes) -> bytes:
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    file = io.BytesIO()
    # Without the version of Matplotlib, so that the same data give the same file.
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()
