"""The plots of a report, as SVG from data frames; text stays text, in the page's letter size."""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from benchmarks.reports.styles import COLOURS, Style

MOST_SERIES = len(COLOURS)
"""The largest number of series in a plot; a reader could not tell more of them apart."""
WIDTH, HEIGHT = 4.0, 2.9
"""The size of a plot without its legend, in inches. On a desk screen three plots fit side by side,
on a phone one."""
LINE = 0.21
"""The height of a line of text, in inches."""
POINTS = 10
"""The size of the letters, the same as in the page's tables."""
LETTER = 0.085
"""The width of a letter, in inches."""
MOST_LETTERS = 40
"""The largest number of letters in a line of a legend or beside an axis."""

Series = Sequence[tuple[str, Style, pd.DataFrame]]
"""At most `MOST_SERIES` series, each with a label, a style and a frame."""


def curves(
    series: Series,
    x: str,
    ys: Sequence[tuple[str, str]],
    x_label: str,
    y_label: str,
    target: float | None = None,
    is_logarithmic: bool = False,
) -> str:
    """Draw columns against `x`: the median over the runs as a line, their range as a band.

    Args:
        series: a row for each run and epoch, with the columns `epoch`, `x` and those in `ys`.
        x: column of the horizontal axis.
        ys: column and name of one or two lines. The first is solid and has the band; the second is
            dashed.
        x_label: name of `x`, with its unit.
        y_label: name of the columns, with their unit.
        target: value to mark.
        is_logarithmic: whether the vertical axis is logarithmic.
    """
    figure, axes = _axes(x_label, y_label)
    lowest, highest = np.inf, -np.inf
    for label, style, frame in series:
        by_epoch = frame.groupby("epoch")
        across = by_epoch[x].median()
        for (column, _), is_first in zip(ys, (True, False), strict=False):
            medians = by_epoch[column].median()
            _line(axes, across, medians, style, label if is_first else None, is_dashed=not is_first)
            lowest, highest = min(lowest, medians.min()), max(highest, medians.max())
            if is_first:
                low, high = by_epoch[column].min(), by_epoch[column].max()
                axes.fill_between(across, low, high, color=style.colour, alpha=0.15, lw=0)
    if len(ys) > 1:
        for (_, name), line in zip(ys, ("-", "--"), strict=True):
            axes.plot([], [], color="grey", linestyle=line, label=name)
    if target is not None:
        axes.axhline(target, color="grey", linestyle=":", label=f"target {target:g}")
    if is_logarithmic:
        axes.set_yscale("log")
        _logarithmic_ticks(axes.yaxis, lowest, highest)
    return _svg(figure, axes)


def best_of_k(series: Series) -> str:
    """Draw the result of a search of k trials: the median as a line, the interval as a band.

    Args:
        series: a row for each k with the columns `k`, `median`, `low`, `high`.
    """
    figure, axes = _axes("trials", "test accuracy of the best")
    for label, style, frame in series:
        _line(axes, frame["k"], frame["median"], style, label)
        colour = style.colour
        axes.fill_between(frame["k"], frame["low"], frame["high"], color=colour, alpha=0.15, lw=0)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True, min_n_ticks=1))
    return _svg(figure, axes)


def trials(series: Series, parameter: str) -> str:
    """Draw the validation accuracy of each trial against its learning rate.

    Args:
        series: a row for each trial with the columns `parameter` and `val_accuracy`. A trial that
            diverged or failed has no accuracy, and is a cross on the axis.
        parameter: name of the searched argument.
    """
    figure, axes = _axes(parameter.replace("_", " "), "validation accuracy")
    for label, style, frame in series:
        frame = frame.sort_values(parameter)
        ok = frame["val_accuracy"].notna()
        _line(
            axes, frame.loc[ok, parameter], frame.loc[ok, "val_accuracy"], style, label, width=0.6
        )
        at_the_bottom: Any = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        for lost in frame.loc[~ok, parameter]:
            axes.plot(lost, 0, color=style.colour, marker="x", ls="", **at_the_bottom)
    values = pd.concat([frame[parameter] for _, _, frame in series])
    if values.min() > 0 and values.max() / values.min() >= 10:
        axes.set_xscale("log")
        _logarithmic_ticks(axes.xaxis, values.min(), values.max())
    return _svg(figure, axes)


def percentiles(series: Series) -> str:
    """Draw a line for each run: median, 90th and 99th percentile of the time of a step.

    Args:
        series: a row for each run with the columns `step_ms_p50`, `step_ms_p90`, `step_ms_p99`.
    """
    figure, axes = _axes("milliseconds a step", "")
    first = 0
    middles = []
    for _, style, frame in series:
        positions = np.arange(first, first + len(frame))
        p50, p90, p99 = (frame[f"step_ms_p{p}"].to_numpy(float) for p in (50, 90, 99))
        axes.hlines(positions, p50, p99, color=style.colour, lw=1)
        axes.plot(p50, positions, color=style.colour, marker=style.marker, ms=5, ls="")
        for values in (p90, p99):
            axes.plot(values, positions, color=style.colour, marker="|", ls="")
        middles.append(positions.mean())
        first += len(frame) + 1
    axes.set_yticks(middles, [_wrapped(label, 20) for label, _, _ in series])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    return _svg(figure, axes)


def times(series: Series, column: str, label: str, limit: float | None = None) -> str:
    """Draw a dot for each competitor of a race, under its mode, on a logarithmic scale.

    Args:
        series: a row for each mode, with the columns `mode` and `column`.
        column: column with a time.
        label: name of the time, with its unit.
        limit: time to mark, the least that the memory bandwidth allows.
    """
    modes = list(dict.fromkeys(mode for _, _, frame in series for mode in frame["mode"]))
    lines = len(modes) + sum(len(frame) for _, _, frame in series)
    figure, axes = _axes(label, "", height=0.7 + LINE * (lines + len(modes) / 2))
    ticks: list[tuple[float, str]] = []
    place, every = 0.0, []
    for mode in modes:
        ticks.append((place, mode))
        for name, style, frame in series:
            for ms in frame.loc[frame["mode"] == mode, column]:
                place += 1
                axes.plot(ms, place, color=style.colour, marker=style.marker, ms=7, ls="")
                ticks.append((place, _wrapped(name, 24)))
                every.append(float(ms))
        place += 1.5
    axes.set_xscale("log")
    if limit is not None:
        axes.axvline(limit, color="grey", linestyle=":", label="limit: 28 bytes a parameter")
        every.append(limit)
    axes.set_xlim(min(every) / 1.2, max(every) * 1.2)
    _logarithmic_ticks(axes.xaxis, *axes.get_xlim())
    axes.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    for tick, (_, text) in zip(axes.get_yticklabels(), ticks, strict=True):
        tick.set_fontweight("bold" if text in modes else "normal")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(place - 0.5, -0.8)
    return _svg(figure, axes)


def ratios(table: pd.DataFrame, x_label: str, y_label: str) -> str:
    """Draw a table of ratios: blue above 1, red below.

    Args:
        table: a ratio in each cell, or a blank.
        x_label: name of the columns.
        y_label: name of the rows.
    """
    figure, axes = _axes(x_label, y_label, height=0.8 + 0.42 * len(table))
    values = table.to_numpy(float)
    # A factor of four, in both directions, has the darkest colour.
    axes.pcolormesh(np.log(values), cmap="RdBu", vmin=-np.log(4), vmax=np.log(4))
    for row, column in np.argwhere(np.isfinite(values)):
        is_dark = abs(np.log(values[row, column])) > np.log(2.5)
        colour = "white" if is_dark else "#010101"  # "black" would become the page's text colour
        text = f"{values[row, column]:.3g}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour)
    axes.set_xticks(np.arange(len(table.columns)) + 0.5, [_short(n) for n in table.columns])
    axes.set_yticks(np.arange(len(table)) + 0.5, [_short(n) for n in table.index])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.invert_yaxis()
    return _svg(figure, axes)


_short = ticker.EngFormatter(sep="")
"""A formatter that writes 100,000 as 100k."""


def _axes(x_label: str, y_label: str, height: float = HEIGHT) -> tuple[Figure, Axes]:
    with mpl.rc_context({"font.size": POINTS}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.patch.set_visible(False)
    if y_label:
        axes.xaxis.set_major_locator(ticker.MaxNLocator(6))
    return figure, axes


def _line(
    axes: Axes,
    x: pd.Series,
    y: pd.Series,
    style: Style,
    label: str | None,
    is_dashed: bool = False,
    width: float = 1.5,
) -> None:
    axes.plot(
        *(x, y),
        color=style.colour,
        linestyle="--" if is_dashed else "-",
        linewidth=width,
        marker=style.marker,
        markersize=5,
        markevery=max(1, len(x) // 12),
        markerfacecolor="none" if is_dashed else style.colour,
        label=None if label is None else _wrapped(label, MOST_LETTERS),
    )


def _logarithmic_ticks(axis: Axis, low: float, high: float) -> None:
    """Set few ticks, so that their numbers have room."""
    if not 0 < low < high:
        return
    span = high / low
    if span < 5:
        axis.set_major_locator(ticker.MaxNLocator(4))
    else:
        parts = (1, 2, 5) if span < 30 else (1, 3) if span < 300 else (1,)
        axis.set_major_locator(ticker.LogLocator(subs=parts, numticks=12))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
    axis.set_minor_locator(ticker.NullLocator())


def _wrapped(text: str, width: int) -> str:
    """Break a label into lines, if possible after a comma or a bracket.

    Matplotlib would read a dollar as the start of a formula, and hide a label with an underscore.
    """
    parts = re.findall(r".+?(?:[,(:] ?|$)", text)
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    cut = [line[at : at + width] for line in lines for at in range(0, len(line), width)]
    wrapped = "\n".join(line.strip() for line in cut).replace("$", r"\$")
    return f" {wrapped}" if wrapped.startswith("_") else wrapped


def _svg(figure: Figure, axes: Axes) -> str:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        longest = max(len(line) for label in labels for line in label.split("\n"))
        columns = max(1, min(len(labels), int(WIDTH / (0.5 + LETTER * longest))))
        rows = -(-len(labels) // columns) + sum(label.count("\n") for label in labels)
        figure.set_figheight(figure.get_figheight() + LINE * rows)
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            fontsize=POINTS,
        )
    file = io.StringIO()
    # A fixed salt, and no date or version, so that the same data give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "keras_adam"}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", facecolor="white", metadata=nothing)
    text = re.sub(r"\n? *<metadata>.*?</metadata>", "", file.getvalue(), flags=re.DOTALL)
    # Groups have the same names in every plot, and a page has several plots.
    return re.sub(r'<g id="[^"]*"', "<g", text)
