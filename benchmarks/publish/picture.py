"""The picture of the README: the time of one update with each optimizer, and the limit."""

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.publish.evidence_tables import NAMES, digits
from benchmarks.store import csv_file, schema

MODES = {"eager": "called from Python", "graph": "inside a tf.function", "xla": "inside XLA"}
OURS, OTHERS = "#1f6feb", "#8b949e"


def draw(folder: Path) -> str:
    """Return an SVG of a race of updates, with a panel for each model and a dot for each result.

    Text stays text, so that readers can copy the numbers and a test can read them.
    """
    found = csv_file.read(folder / "updates.csv", schema.UPDATES)
    models = list(found["shapes"].unique())
    found = found.sort_values("mode", kind="stable", key=lambda m: m.map(list(MODES).index))
    lines = list(found[["mode", "optimizer"]].drop_duplicates().itertuples(index=False, name=None))
    places = dict(zip(lines, _heights([mode for mode, _ in lines]), strict=True))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "keras_adam", "font.size": 10}):
        figure = Figure(figsize=(10, 0.27 * len(places) + 1.6), layout="constrained")
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for axes, model in zip(panels, models, strict=True):
            rows = found[found["shapes"] == model]
            limit = float(rows["bandwidth_limit_ms"].iloc[0])
            axes.axvline(limit, color="#d29922", linewidth=1.5)
            axes.set_title(f"{model}: {rows['params'].iloc[0]:,} parameters", fontsize=11)
            for row in rows.itertuples():
                is_ours = row.optimizer.startswith("keras_adam")
                colour, y = OURS if is_ours else OTHERS, places[row.mode, row.optimizer]
                axes.plot([limit, row.update_ms_p50], [y, y], color=colour, alpha=0.35)
                axes.plot(row.update_ms_p50, y, "o", color=colour)
                axes.annotate(
                    digits(row.update_ms_p50),
                    (row.update_ms_p50, y),
                    (6, 0),
                    textcoords="offset points",
                    va="center",
                    color=colour,
                    weight="bold" if is_ours else "normal",
                )
            axes.set_xscale("log")
            axes.margins(x=0.16)
            axes.set_xlabel(f"ms an update; line: the limit, {digits(limit)}")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="x", alpha=0.25)
        labels = [NAMES.get(optimizer, optimizer).replace("`", "") for _, optimizer in places]
        panels[0].set_yticks(list(places.values()), labels)
        panels[0].invert_yaxis()
        for mode in dict.fromkeys(mode for mode, _ in lines):
            y = min(height for (one, _), height in places.items() if one == mode) - 0.85
            panels[0].annotate(
                MODES[mode],
                (0, y),
                (-6, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                va="center",
                weight="bold",
            )
        file = io.StringIO()
        figure.savefig(file, format="svg", facecolor="white", metadata={"Date": None})
    return file.getvalue()


def _heights(modes: list[str]) -> list[float]:
    """Return the height of each line; above each mode there is a free line for its name."""
    heights: list[float] = []
    y, before = 0.0, ""
    for mode in modes:
        y += 1.0 if mode == before else 2.0
        heights.append(y)
        before = mode
    return heights
