"""`python -m benchmarks.updates.grid` writes a row for each cell, mode and optimizer."""

import pandas as pd
import pytest

from benchmarks.publish import evidence_tables
from benchmarks.reports import contents
from benchmarks.store import schema
from benchmarks.updates import grid


@pytest.fixture(autouse=True)
def short_turns(monkeypatch):
    monkeypatch.setattr(grid, "TURN_SECONDS", 1e-9)  # one update in each turn


def test_every_cell_that_fits_has_a_row_of_each_optimizer(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(grid, "COUNTS", (2, 4))
    monkeypatch.setattr(grid, "SIZES", (10, 30))
    monkeypatch.setattr(grid, "MOST_PARAMETERS", 60)
    grid.main(tmp_path / "report", rounds=2)
    rows = pd.read_csv(tmp_path / "report" / "grid.csv")
    assert list(rows.columns) == list(schema.GRID)
    cells = set(zip(rows["variables"], rows["params_each"], strict=True))
    assert cells == {(2, 10), (2, 30), (4, 10)}
    assert len(rows) == len(cells) * len(grid.MODES) * 4
    assert (rows["update_ms_min"] <= rows["update_ms_p50"]).all()
    assert (rows["update_ms_min"] > 0).all()
    files = {path.name for path in contents.write(tmp_path / "report")}
    assert {f"grid-{m}-{o}.svg" for m in grid.MODES for o in grid.PAIRS} < files
    assert "graph 2 x 10, least: adam / keras_adam " in capsys.readouterr().out


def test_each_option_has_a_cell(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(grid, "OPTION_COUNTS", (2,))
    monkeypatch.setattr(grid, "OPTION_SIZES", (10,))
    monkeypatch.setattr(grid, "OPTIONS", ("", "gradient_accumulation_steps=2, clipnorm=1.0"))
    grid.main(tmp_path / "report", "options", rounds=1)
    rows = pd.read_csv(tmp_path / "report" / "grid.csv")
    call = "(gradient_accumulation_steps=2, clipnorm=1.0)"
    names = ["keras_adam", "adam", f"keras_adam{call}", f"adam{call}"]
    assert list(rows["optimizer"]) == names
    assert set(rows["mode"]) == {"graph"}
    files = {path.name for path in contents.write(tmp_path / "report")}
    assert "grid-graph-keras_adam-gradient_accumulation_steps-2-clipnorm-1-0.svg" in files
    assert f"adam{call} / keras_adam{call} " in capsys.readouterr().out
    table = evidence_tables.options(tmp_path / "report")
    assert "| none | 2 |" in table
    assert f"| `{call[1:-1]}` | 2 |" in table
