"""Printed lines fit the terminal, and break only at allowed places."""

from rich.console import Console

from benchmarks import printing


def test_a_line_ends_at_no_space_that_holds_together(capsys):
    text = f"p 0.71, pairs{printing.NO_BREAK}12"
    console = Console(width=12, force_terminal=True)
    printing.say(console, text)
    assert capsys.readouterr().out == "p 0.71,\npairs 12\n"


def test_a_cell_stays_on_the_line_of_its_heading(capsys):
    console = Console(width=40, force_terminal=True)
    rows = [("adam", "0.9113 (0.90)", "1,604 (1)", "word " * 12)]
    printing.table(console, ("optimizer", "test accuracy", "images/s", "why"), rows)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "adam"
    assert lines[:2] == [
        "  test accuracy 0.9113 (0.90),",
        "  images/s 1,604 (1), why word word word",
    ]
    assert all(len(line) <= 40 for line in lines)


def test_a_warning_is_one_line_in_a_file(capsys):
    text = "word " * 40
    printing.warn(text.strip())
    assert capsys.readouterr().err == f"Warning: {text.strip()}\n"
