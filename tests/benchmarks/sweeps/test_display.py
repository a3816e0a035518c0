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
        clock[0] = 10.0
        shown.tell(config, Progress(epoch=1, step=11, steps=44, loss=0.5, accuracy=0.25))

    (sweep, run), _ = screen(config, 4, after)
    assert sweep.rstrip().endswith("0:02:30 left")  # one of sixteen parts took 10 seconds
    assert run.rstrip().endswith("0:00:30 left")
    assert "11/44" in run


@pytest.mark.parametrize("length", [1, 300])
def test_a_long_name_leaves_the_bar_its_place(config, clock, length):
    config = dataclasses.replace(config, model="m" * length, epochs=1000)

    def after(shown):
        clock[0] = 10.0
        shown.tell(config, Progress(epoch=999, step=4000, steps=4400, loss=1234.5, accuracy=0.25))

    lines, _ = screen(config, 4, after)
    assert len(lines) == 2
    assert all(len(line) <= 80 for line in lines)
    assert all(line.rstrip().endswith(" left") for line in lines)
    assert "0/4" in lines[0]


def test_the_test_accuracy_of_each_epoch_is_printed(config):
    row = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.25, "test_accuracy": 0.75}
    _, printed = screen(config, 4, lambda shown: shown.tell(config, Epoch(row)))
    assert "epoch 1/1, loss 0.5000, accuracy 0.2500, test accuracy 0.7500" in printed.replace(
        "\n", " "
    )


def test_the_time_left():
    assert display.time_left(10, 0) == ""
    assert display.time_left(3600, 0.25) == "3:00:00 left"
