"""What is printed: on a terminal, lines that fit; into a file or a pipe, whole ones."""

import os
import sys
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

NO_BREAK = "\u00a0"
"""A space at which `say` ends no line."""

UNBOUNDED = 100_000
"""Columns: no line is that long."""


def console(quiet: bool = False) -> Console:
    """Return what to print on. A file or a pipe has no width: its lines are left whole.

    If it is quiet, what is printed on it is not seen.
    """
    return _Console(width=None if sys.stdout.isatty() else UNBOUNDED, quiet=quiet)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command line say what the exit code is, and not rich."""
        raise BrokenPipeError


def say(console: Console, text: str, indent: int = 0) -> None:
    """Print a text; on a terminal it is wrapped between words, and what is longer is left whole."""
    margin = " " * indent
    if console.is_terminal:
        text = textwrap.fill(
            text,
            console.width,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
    else:
        text = margin + text
    text = text.replace(NO_BREAK, " ")
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning to the standard error; on a terminal it is wrapped between words."""
    say(Console(stderr=True), f"Warning: {text}")


def table(
    console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1
) -> None:
    """Print a table; where it does not fit, each row as a paragraph: its names, then the rest.

    Args:
        console: to print on.
        header: heading of each column.
        rows: cells of each.
        names: how many of the first columns say what a row is of.
    """
    whole = grid(header, rows)
    if fits(console, whole):
        console.print(whole)
        return
    for row in rows:
        say(console, ", ".join(filter(None, row[:names])))
        pairs = zip(header[names:], row[names:], strict=True)
        texts = [f"{name} {cell}" for name, cell in pairs if cell]
        short = [
            text.replace(" ", NO_BREAK) if len(text) <= console.width // 2 else text
            for text in texts
        ]
        say(console, ", ".join(short), indent=2)


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of these texts."""
    grid = Table(*map(escape, header), box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*map(escape, row))
    return grid


def fits(console: Console, table: Table) -> bool:
    """Whether a table needs no line to be broken."""
    options = console.options.update(width=UNBOUNDED)
    return Measurement.get(console, options, table).maximum <= console.width


def write(text: str) -> None:
    """Write a text to the standard output; a reader that has left, as `head` does, is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        leave_pipe()


def leave_pipe() -> None:
    """Send what is still to be written to the standard output nowhere.

    Else Python would complain of the closed pipe when it ends.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
