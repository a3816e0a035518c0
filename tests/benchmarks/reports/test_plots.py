"""Text in the plots is complete, inside the picture and not over other text."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks.reports import names, plots, styles


@pytest.fixture
def figures(monkeypatch):
    """Collect the figures that are saved, so that their text can be measured."""
    found = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda f, *a, **k: (found.append(f), save(f, *a, **k)))
    return found


def race(scale):
    optimizers = ["keras_adam", "adam", "resource_apply_adam", "your_optimizers.module:Wonderful"]
    rows = pd.DataFrame({"subject": optimizers, "mode": "graph", "ms": np.arange(1, 5) * scale})
    called = names.of(optimizers)
    return called.series([(name, rows[rows["subject"] == name]) for name in optimizers])


def curves():
    optimizers = [
        f"adam(beta_1={n / 10}, epsilon=1e-07, name='a rather long one')" for n in range(6)
    ]
    frame = pd.DataFrame({"epoch": [1, 2], "x": [400, 1900], "y": [0.5, 0.02]})
    called = names.of(optimizers)
    return called.series((name, frame) for name in optimizers)


def texts(figure):
    """Return the visible texts of a figure with their boxes, in pixels."""
    figure.canvas.draw()
    axes = figure.axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
        yield [label for place, label in ticks if low <= place <= high and label.get_text()]
    for legend in figure.legends:
        yield legend.get_texts()


def assert_readable(figure):
    width, height = figure.canvas.get_width_height()
    for group in texts(figure):
        boxes = [text.get_window_extent() for text in group]
        for box in boxes:
            assert box.x0 > -1
            assert box.x1 < width + 1
            assert box.y0 > -1
            assert box.y1 < height + 1
        assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[n + 1 :]), [
            t.get_text() for t in group
        ]


@pytest.mark.parametrize("scale", [0.03, 1, 20, 1e4])
def test_the_numbers_of_a_race_have_room(figures, scale):
    """In an earlier version, an axis from 20 to 50 had the text "2x10^1 3x4x10^1"."""
    plots.times(race(scale), "ms", "milliseconds", limit=scale / 2)
    assert_readable(figures[0])
    assert len([t for t in next(texts(figures[0])) if t.get_text()]) >= 2


def test_no_legend_is_cut_off(figures):
    plots.curves(curves(), "x", [("y", "training")], "steps", "loss", is_logarithmic=True)
    assert_readable(figures[0])
    assert len(figures[0].legends[0].get_texts()) == 6


def test_trials_are_whole(figures):
    frame = pd.DataFrame({"k": [1, 2, 3], "median": 0.5, "low": 0.4, "high": 0.6})
    plots.best_of_k(names.of(["adam"]).series([("adam", frame)]))
    ticks, *_ = texts(figures[0])
    assert {t.get_text() for t in ticks} <= {"0", "1", "2", "3", "4"}


def test_a_picture_is_the_same_again_and_has_text():
    first, second = (plots.times(race(1), "ms", "milliseconds") for _ in range(2))
    assert first == second
    assert ">keras_adam</text>" in first
    assert "<metadata" not in first
    assert not re.findall(r'<g id="', first)


def test_an_optimizer_looks_alike_in_every_folder():
    one = names.of(["keras_adam(learning_rate=0.1)", "adam", "sgd"]).styles
    other = names.of(["rmsprop", "adam at 0.1", "keras_adam", "mine:Own"]).styles
    assert one["adam"] == other["adam at 0.1"]
    assert one["keras_adam(learning_rate=0.1)"] == other["keras_adam"]


def test_no_two_look_alike():
    assert len(set(styles.STYLES)) == len(styles.STYLES) == 49
    found = styles.assign(["adam", "keras_adam", *map(str, range(30))])
    assert len(set(found.values())) == 32
    few = styles.assign(["adam", "keras_adam", *map(str, range(5))])
    assert len({style.colour for style in few.values()}) == 7
    assert len({style.marker for style in few.values()}) == 7  # different in grey
