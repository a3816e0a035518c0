"""The plots of a report: data frames in, PNG files in memory out."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours: all can be told apart by the colour-blind, most in grey too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = "osD^vPX"
MOST_SERIES = len(COLOURS)
"""In a plot: more cannot be told apart."""
WIDTH, HEIGHT, DOTS_PER_INCH = 5.2, 3.4, 120
"""Of a plot, in inches: its text stays legible on a phone."""

Series = Sequence[tuple[str, pd.DataFrame]]
"""A name and a frame each, at most `MOST_SERIES`."""


def curves(
    series: Series,
    x: str,
    ys: Sequence[tuple[str, str]],
    x_label: str,
    y_label: str,
    target: float | None = None,
    is_logarithmic: bool = False,
) -> bytes:
    """Draw columns against `x`: the median over the runs as a line, their range as a band.

    Args:
        series: a row each run and epoch, with the columns `epoch`, `x` and those in `ys`.
        x: column.
        ys: column and name of each; the first has solid lines and the band, the second
            dashed ones.
        x_label: what `x` is, with its unit.
        y_label: what the columns are, with their unit.
        target: value to mark.
        is_logarithmic: whether the vertical axis is.
    """
    figure, axes = _axes(x_label, y_label)
    for number, (name, frame) in enumerate(series):
        by_epoch = frame.groupby("epoch")
        across = by_epoch[x].median()
        colour = COLOURS[number % len(COLOURS)]
        for (column, _), style in zip(ys, ("-", "--"), strict=False):
            values = by_epoch[column]
            is_first = style == "-"
            axes.plot(
                *(across, values.median()),
                color=colour,
                linestyle=style,
                marker=MARKERS[number % len(MARKERS)] if is_first else None,
                markersize=4,
                label=_name(name) if is_first else None,
            )
            if is_first:
                axes.fill_between(
                    across, values.min(), values.max(), color=colour, alpha=0.15, lw=0
                )
    if len(ys) > 1:
        for (_, name), style in zip(ys, ("-", "--"), strict=True):
            axes.plot([], [], color="grey", linestyle=style, label=name)
    if target is not None:
        axes.axhline(target, color="grey", linestyle=":", label=f"target {target:g}")
    if is_logarithmic:
        axes.set_yscale("log")
    return _png(figure, axes)


def best_of_k(series: Series) -> bytes:
    """Draw what a search of k trials gives: the median as a line, the interval as a band.

    Args:
        series: a row each k with the columns `k`, `median`, `low`, `high`.
    """
    figure, axes = _axes("trials", "test accuracy of the best")
    for number, (name, frame) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(frame["k"], frame["median"], color=colour, marker=marker, ms=4, label=_name(name))
        axes.fill_between(frame["k"], frame["low"], frame["high"], color=colour, alpha=0.15, lw=0)
    return _png(figure, axes)


def trials(series: Series, parameter: str) -> bytes:
    """Draw the validation accuracy of each trial against the learning rate that it drew.

    Args:
        series: a row each trial with the columns `parameter` and `val_accuracy`; one
            without an accuracy, which diverged or failed, is a cross on the axis.
        parameter: what was searched.
    """
    figure, axes = _axes(parameter.replace("_", " "), "validation accuracy")
    for number, (name, frame) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        marker = MARKERS[number % len(MARKERS)]
        frame = frame.sort_values(parameter)
        ok = frame["val_accuracy"].notna()
        axes.plot(
            *(frame.loc[ok, parameter], frame.loc[ok, "val_accuracy"]),
            color=colour,
            marker=marker,
            ms=4,
            lw=0.6,
            label=_name(name),
        )
        at_the_bottom: Any = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        lost = frame.loc[~ok, parameter]
        axes.plot(lost, np.zeros(len(lost)), color=colour, marker="x", ls="", **at_the_bottom)
    values = pd.concat([frame[parameter] for _, frame in series])
    if values.min() > 0 and values.max() / values.min() >= 10:
        axes.set_xscale("log")
    return _png(figure, axes)


def percentiles(series: Series) -> bytes:
    """Draw, for each run, a line from the median over the 90th to the 99th percentile of a step.

    Args:
        series: a row each run with the columns `step_ms_p50`, `step_ms_p90` and `step_ms_p99`.
    """
    figure, axes = _axes("milliseconds a step", "")
    first = 0
    for number, (name, frame) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        positions = np.arange(first, first + len(frame))
        p50, p90, p99 = (frame[f"step_ms_p{p}"].to_numpy(float) for p in (50, 90, 99))
        axes.hlines(positions, p50, p99, color=colour, lw=1, label=_name(name))
        axes.plot(p50, positions, color=colour, marker="o", ms=4, ls="")
        for values in (p90, p99):
            axes.plot(values, positions, color=colour, marker="|", ls="")
        first += len(frame) + 1
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    return _png(figure, axes)


def times(rows: pd.DataFrame, column: str, label: str, limit: float | None = None) -> bytes:
    """Draw a dot each competitor of a race, on a logarithmic scale.

    Args:
        rows: with the columns `subject`, `mode` and `column`.
        column: a time.
        label: what it is, with its unit.
        limit: time to mark: what the memory allows.
    """
    figure, axes = _axes(label, "")
    modes = list(dict.fromkeys(rows["mode"]))
    colours = [COLOURS[modes.index(mode) % len(COLOURS)] for mode in rows["mode"]]
    names = [
        f"{subject} {mode}" for subject, mode in zip(rows["subject"], rows["mode"], strict=True)
    ]
    axes.scatter(rows[column].to_numpy(float), range(len(rows)), color=colours)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [_name(name) for name in names], fontsize=8)
    axes.invert_yaxis()
    if limit is not None:
        axes.axvline(
            limit, color="grey", linestyle=":", label="28 bytes a parameter at the bandwidth"
        )
    return _png(figure, axes)


def grid(rows: pd.DataFrame, pairs: Mapping[str, str]) -> bytes:
    """Draw for each optimizer and mode how many times as long its counterpart takes.

    Args:
        rows: of grid.csv.
        pairs: an optimizer and its counterpart. Blue is faster, red slower; the least times count.
    """
    modes = list(dict.fromkeys(rows["mode"]))
    size = (1.5 + 2.6 * len(pairs), 0.6 + 2.6 * len(modes))
    figure = Figure(figsize=size, layout="constrained")
    panels = np.atleast_2d(figure.subplots(len(modes), len(pairs), sharex=True, sharey=True))
    for i, mode in enumerate(modes):
        for j, (ours, theirs) in enumerate(pairs.items()):
            table = rows[rows["mode"] == mode].pivot(
                index="variables", columns=["optimizer", "params_each"], values="update_ms_min"
            )
            ratios = (table[theirs] / table[ours]).astype(float)
            axes = panels[i, j]
            # A factor of four either way is as dark as it gets.
            axes.imshow(np.log(ratios), cmap="RdBu", vmin=-np.log(4), vmax=np.log(4))
            for row, column in np.argwhere(ratios.notna().to_numpy()):
                text = f"{ratios.iloc[row, column]:.3g}"
                axes.text(column, row, text, ha="center", va="center", fontsize=6)
            axes.set_xticks(range(len(ratios.columns)), [f"{n:.0e}" for n in ratios.columns])
            axes.set_yticks(range(len(ratios.index)), [str(n) for n in ratios.index])
            axes.tick_params(labelsize=6)
            axes.set_title(f"{theirs} / {ours}, {mode}", fontsize=7)
            axes.set_xlabel("numbers in each variable", fontsize=7)
            axes.set_ylabel("variables", fontsize=7)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _name(text: str) -> str:
    """Keep Matplotlib from reading a name as a formula or, with an underscore, as none."""
    text = text if len(text) <= 48 else text[:47] + "…"
    return " " + text.replace("$", r"\$")


def _png(figure: Figure, axes: Axes) -> bytes:
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8
        )
    file = io.BytesIO()
    # Without the version of Matplotlib, so that the same data give the same file.
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()
