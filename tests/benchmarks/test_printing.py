"""What is printed fits a terminal, and breaks where it may."""

from rich.console import Console

from benchmarks import printing


def test_a_line_ends_at_no_space_that_holds_together(capsys):
    text = f"p 0.71, pairs{printing.NO_BREAK}12"
    console = Console(width=12, force_terminal=True)
    printing.say(console, text)
    assert capsys.readouterr().out == "p 0.71,\npairs 12\n"


def test_a_warning_is_one_line_in_a_file(capsys):
    text = "word " * 40
    printing.warn(text.strip())
    assert capsys.readouterr().err == f"Warning: {text.strip()}\n"
