"""The first sentences of the page, from the verdicts."""

import pytest

from benchmarks.analysis import observations, verdict
from benchmarks.analysis.comparison import within
from benchmarks.reports import contents, page
from benchmarks.reports.sections import answer, grid
from benchmarks.store import csv_file, schema
from benchmarks.store.report import Report
from tests.benchmarks.analysis.runs import write


def first_blocks(folder):
    """Return the paragraphs before the first section, and their table."""
    _, *blocks = contents.blocks(folder)
    until = next(n for n, block in enumerate(blocks) if isinstance(block, page.Heading))
    texts = [block.text for block in blocks[:until] if isinstance(block, page.Text)]
    tables = [block for block in blocks[:until] if isinstance(block, page.Table)]
    return texts, tables


def test_what_is_faster_by_how_much_and_what_is_open(tmp_path):
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [600, 606, 612], [0.9, 0.95, 0.92])
    texts, (table,) = first_blocks(tmp_path)
    assert texts[0] == "Against adam, sgd is faster (images/s, +20.0 %)."
    (speed, accuracy) = within(tmp_path)[0]
    seeds = answer.pairs_to_tell(accuracy)
    assert texts[1] == (
        f"1 of 2 comparisons is inconclusive with 3 seeds. About {seeds} seeds would decide."
    )
    assert table.header == ("against adam", "images/s", "test accuracy")
    assert table.rows == [("sgd", "faster, +20.0 %", f"open; about {seeds} seeds")]
    assert speed.effect.n == 3


def test_who_reached_the_target_first(tmp_path):
    target = {"target_accuracy": 0.9}
    times = {"adam": [50.0, 52.0, 51.0], "sgd": [30.0, 90.0, 45.0], "lion": [None] * 3}
    for optimizer, seconds in times.items():
        write(tmp_path, optimizer, [500, 505, 510], seconds_to_target=seconds, **target)
    texts, _ = first_blocks(tmp_path)
    assert texts[0] == (
        "sgd reached the accuracy of 0.9 first, after 45.0 s (median of 3). The test does not show "
        "that this is sooner than adam. lion did not reach it in any run."
    )


def test_a_target_that_half_of_the_runs_missed(tmp_path):
    for optimizer in ("adam", "sgd"):
        seconds = [50.0, None, None]
        write(tmp_path, optimizer, [500] * 3, seconds_to_target=seconds, target_accuracy=0.9)
    texts, _ = first_blocks(tmp_path)
    assert texts[0] == "No optimizer reached the accuracy of 0.9 in half of its runs."


def test_many_problems_are_counted(tmp_path):
    for model in ("mlp", "2c2d"):
        write(tmp_path, "adam", [500, 505, 510], model=model)
        write(tmp_path, "sgd", [600, 606, 612], model=model)
    texts, (table,) = first_blocks(tmp_path)
    assert texts[0].startswith("Against adam, sgd is faster in 2 of 2 problems (median images/s")
    assert table.rows[0][:4] == ("sgd", "adam", "images/s", "2")


def test_one_metric_of_many_problems_is_a_table_with_one_spelling(tmp_path):
    """If one cell has a factor, all cells have factors."""
    speeds = {"mlp": [5000, 5050, 5110], "2c2d": [500, 505, 511], "3c3d": [600, 605, 612]}
    for model, values in speeds.items():
        nothing = {"model": model, "status": "ok"}
        write(tmp_path, "adam", [500, 505, 510], [None] * 3, **nothing)
        write(tmp_path, "sgd", values, [None] * 3, **nothing)
    texts, (table,) = first_blocks(tmp_path)
    assert table.header == ("images/s against adam", "sgd")
    assert [row[1] for row in table.rows] == [
        "faster, x 10",
        "no difference above x 1",
        "faster, x 1.2",
    ]
    assert "(median images/s x 1.2)" in texts[0]
    assert "1 of 3 comparisons excludes a difference that matters." in texts[0]


def test_a_row_spells_its_effect_interval_and_verdict_alike(tmp_path):
    """The interval of a change of +30 % may include more than a factor of two."""
    write(tmp_path, "adam", [500, 505, 510])
    write(tmp_path, "sgd", [450, 700, 900])
    compared = within(tmp_path)[0][0]
    change, interval, *_ = verdict.in_words(compared)
    assert change.startswith("x ")
    assert interval.count("x ") == 2
    write(tmp_path, "lion", [501, 505, 511])
    same = next(c for c in within(tmp_path)[0] if c.subject == "lion")
    assert verdict.in_words(same, as_factor=True)[-1] == "no difference larger than x 1"
    assert verdict.in_words(same)[-1].endswith(" %")


def test_a_grid_says_in_how_many_cells_each_is_faster(tmp_path):
    rows = [
        {"optimizer": name, "mode": "graph", "variables": count, "params_each": 10}
        | {"update_ms_min": ms}
        for name, times in (("keras_adam(amsgrad=True)", (1, 2)), ("adam(amsgrad=True)", (3, 1)))
        for count, ms in zip((4, 8), times, strict=True)
    ]
    csv_file.write(tmp_path / "grid.csv", schema.GRID, rows)
    (first, last), (table,) = (
        [b for b in grid.sections(Report(tmp_path)) if isinstance(b, kind)]
        for kind in (page.Text, page.Table)
    )
    assert first.text.startswith("In mode graph, keras_adam is faster than adam in 1 of 2 cells.")
    assert "may be chance" in last.text
    assert table.rows[0][:4] == ("keras_adam", "adam", "amsgrad=True", "graph")


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_about_so_many_seeds_would_tell(noise):
    """Both cases get a verdict: a difference is shown, or one that matters is excluded."""
    from benchmarks.analysis.metrics import METRICS
    from benchmarks.analysis.statistics import Effect

    metric = METRICS[0]

    class Compared:
        has_losses = False
        effect = Effect(mean=0.001, deviation=noise, n=3, is_ratio=True)

    Compared.metric = metric
    excluded = answer.pairs_to_tell(Compared)
    Compared.effect = Effect(mean=0.2, deviation=noise, n=3, is_ratio=True)
    shown = answer.pairs_to_tell(Compared)
    Compared.effect = Effect(mean=0.001, deviation=3 * noise, n=3, is_ratio=True)
    assert 3 < excluded < answer.pairs_to_tell(Compared)
    assert shown == 4  # three did not decide; one more does


def test_runs_that_are_not_ok_are_named_and_count_as_seeds(tmp_path):
    write(tmp_path, "adam", [500, 505, 510], [0.90, 0.91, 0.92])
    status = ["ok", "diverged", "ok"]
    write(tmp_path, "sgd", [500, None, 510], [0.91, None, 0.90], status=status)
    texts, _ = first_blocks(tmp_path)
    assert texts[0] == "Runs that are not ok: sgd 1 of 3 (diverged)."
    assert "2 of 2 comparisons are inconclusive with 3 seeds." in texts[-1]


def test_one_run_each_tells_nothing_and_the_page_says_so(tmp_path):
    write(tmp_path, "adam", [500], [0.9])
    write(tmp_path, "sgd", [600], [0.9])
    (text,), tables = first_blocks(tmp_path)
    assert text.startswith("Each optimizer has only one run that can be compared, so any")
    assert tables == []
    assert len(observations.read_observations(Report(tmp_path))) == 2


def test_one_run_each_of_several_problems(tmp_path):
    for model in ("mlp", "2c2d"):
        write(tmp_path, "adam", [500], [0.9], model=model)
        write(tmp_path, "sgd", [600], [0.9], model=model)
    (text,), _ = first_blocks(tmp_path)
    assert text.startswith("Each optimizer has only one run of each problem that can be compared")


@pytest.mark.parametrize("ok", [0, 1])
@pytest.mark.parametrize("models", [["mlp"], ["mlp", "2c2d"]])
def test_lost_runs_decide_even_if_hardly_a_run_is_left(tmp_path, ok, models):
    lost = 8 - ok
    status = ["ok"] * ok + ["diverged"] * lost
    left = [500] * ok + [None] * lost
    for model in models:
        write(tmp_path, "adam", [500] * 8, [0.9] * 8, model=model)
        write(tmp_path, "sgd", left, [0.9] * ok + [None] * lost, model=model, status=status)
    blocks = list(contents.blocks(tmp_path))
    texts, (table,) = first_blocks(tmp_path)
    counts = f"{lost * len(models)} of {8 * len(models)}"
    assert texts[0] == f"Runs that are not ok: sgd {counts} (diverged)."
    assert texts[1].startswith("Against adam, sgd is slower")
    assert "nan" not in texts[1]
    assert table.rows[0][0] == "sgd"
    assert any(isinstance(b, page.Text) and "sign test" in b.text for b in blocks)
