import dataclasses
import io

import pytest
from rich.console import Console

from benchmarks.sweeps import display
from benchmarks.training.messages import Epoch, Progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def screen(config, runs, after):
    """Return the lines of a terminal of 80 columns after `after(display)`."""
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    shown = display.Display(console, runs)
    shown.start(config)
    after(shown)
    with console.capture() as capture:
        console.print(shown._bar.get_renderable())
    return capture.get().rstrip("\n").split("\n"), out.getvalue()


def test_the_time_left_of_the_run_and_of_the_sweep(config, clock):
    def after(shown):
        clock[0] = 4.0  # the start and the compilation
        shown.tell(config, Progress(epoch=1, step=1, steps=44, loss=0.5, accuracy=0.25))
        clock[0] = 14.0
        shown.tell(config, Progress(epoch=1, step=11, steps=44, loss=0.5, accuracy=0.25))

    (sweep, run), _ = screen(config, 4, after)
    assert run.rstrip().endswith("0:00:33 left")  # a second a step
    assert sweep.rstrip().endswith("0:02:54 left")  # and three runs of 47 seconds
    assert "11/44" in run


def test_no_time_is_told_before_two_steps_are_known(config, clock):
    """An earlier version took the time of the first step, which compiles, for that of all steps."""

    def after(shown):
        clock[0] = 60.0
        shown.tell(config, Progress(epoch=1, step=1, steps=44, loss=0.5, accuracy=0.25))

    lines, _ = screen(config, 4, after)
    assert not any("left" in line for line in lines)


def test_the_time_left_after_a_run(config, clock):
    other = dataclasses.replace(config, seed=1)

    def after(shown):
        clock[0] = 40.0
        shown.finish(config, {"status": "ok", "test_accuracy": 0.9})
        shown.start(other)
        for clock[0], step in ((44.0, 11), (50.0, 22)):
            shown.tell(other, Progress(epoch=1, step=step, steps=44, loss=0.5, accuracy=0.25))

    (sweep, run), _ = screen(config, 2, after)
    assert run.rstrip().endswith("0:00:12 left")
    assert sweep.rstrip().endswith("0:00:17 left")  # three of four parts took 50 seconds


def test_the_bars_are_taken_away_at_the_end(config):
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    with display.Display(console, 2) as shown:
        shown.start(config)
    assert out.getvalue().endswith("\x1b[2K")  # the last line is erased


def test_a_name_is_printed_once_for_its_epochs(config):
    other = dataclasses.replace(config, seed=1)
    out = io.StringIO()
    shown = display.Display(Console(file=out, width=80), 2)
    epochs = [
        Epoch({"epoch": n, "train_loss": 0.5, "train_accuracy": 0.25, "test_accuracy": 0.75})
        for n in (1, 2)
    ]
    shown.start(config)
    for epoch in epochs:
        shown.tell(config, epoch)
    shown.start(other)
    shown.tell(other, epochs[0])
    shown.finish(config, {"status": "error", "error": "long " * 40})
    lines = out.getvalue().splitlines()
    name, another = f"[1/2] {config}", f"[2/2] {other}"
    assert [line for line in lines if line[0] != " "] == [name, another, name]
    assert lines[1].startswith("  epoch 1/1, loss 0.5000, accuracy 0.2500, test accuracy 0.7500")
    assert lines[-1].strip() == "error: " + " ".join(["long"] * 40)  # a pipe has no width


def test_a_terminal_breaks_lines_between_words(config):
    out = io.StringIO()
    shown = display.Display(Console(file=out, width=80, force_terminal=True), 2)
    shown.start(config)
    shown.finish(config, {"status": "error", "error": "unwrappable " * 40})
    lines = out.getvalue().splitlines()
    assert len(lines) > 5
    assert all(len(line) <= 80 for line in lines)
    assert {word for line in lines[1:] for word in line.split()} == {"error:", "unwrappable"}


@pytest.mark.parametrize("length", [1, 300])
def test_a_long_name_leaves_the_bar_its_place(config, clock, length):
    config = dataclasses.replace(config, model="m" * length, epochs=1000)

    def after(shown):
        for clock[0], step in ((10.0, 3990), (20.0, 4000)):
            shown.tell(
                config, Progress(epoch=999, step=step, steps=4400, loss=1234.5, accuracy=0.25)
            )

    lines, _ = screen(config, 4, after)
    assert len(lines) == 2
    assert all(len(line) <= 80 for line in lines)
    assert all(line.rstrip().endswith(" left") for line in lines)
    assert "0/4" in lines[0]


@pytest.mark.parametrize(
    ("held_out", "said"), [({}, ""), ({"val_accuracy": 0.7}, "val accuracy 0.7000, ")]
)
def test_the_accuracies_of_each_epoch_are_printed(config, held_out, said):
    row = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.25, "test_accuracy": 0.75} | held_out
    out = io.StringIO()
    shown = display.Display(Console(file=out, width=200), 4)
    shown.start(config)
    shown.tell(config, Epoch(row))
    line = f"  epoch 1/1, loss 0.5000, accuracy 0.2500, {said}test accuracy 0.7500"
    assert out.getvalue().splitlines()[1] == line


def test_a_run_that_ends_badly_is_told_even_if_the_rest_is_quiet(config, capsys):
    shown = display.Display(Console(quiet=True), 2)
    for run in (
        {"status": "ok", "test_accuracy": 0.5},
        {"status": "diverged", "error": "loss nan"},
    ):
        shown.start(config)
        shown.finish(config, run)
    assert capsys.readouterr() == ("", f"Warning: {config}: diverged: loss nan\n")


def test_an_epoch_of_a_backup_is_not_printed_as_if_it_were_trained_again(config):
    row = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.25, "test_accuracy": 0.75}
    after = Epoch(row, restored=True)
    _, printed = screen(config, 4, lambda shown: shown.tell(config, after))
    assert "epoch 1/1 was trained before" in printed
    assert "loss" not in printed


def test_the_time_left():
    assert display.time_left(None) == ""
    assert display.time_left(3 * 3600 + 62.4) == "3:01:02 left"
