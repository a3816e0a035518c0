"""Printing: on a terminal, lines are broken to fit; in a file or a pipe, they are whole."""

import os
import sys
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

NO_BREAK = "\u00a0"
"""A space at which `say` does not break a line."""

UNBOUNDED = 100_000
"""A console's width, in characters, that no line reaches."""


def console(quiet: bool = False) -> Console:
    """Return the console to print on. In a file or a pipe, lines are not broken.

    A quiet console shows nothing.
    """
    return _Console(width=None if sys.stdout.isatty() else UNBOUNDED, quiet=quiet)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command line, not rich, choose the exit code."""
        raise BrokenPipeError


def say(console: Console, text: str, indent: int = 0) -> None:
    """Print a text; on a terminal it is wrapped between words, and long words are not broken."""
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
    """Print a table; if it does not fit, print each row as a paragraph: its names, then the rest.

    Args:
        console: to print on.
        header: heading of each column.
        rows: cells of each row.
        names: how many of the columns, from the first, name the row.
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
    """Return a table with these texts."""
    grid = Table(*map(escape, header), box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*map(escape, row))
    return grid


def fits(console: Console, table: Table) -> bool:
    """Whether a table fits without broken lines."""
    if console.width >= UNBOUNDED:  # measuring would take as long as printing
        return True
    options = console.options.update(width=UNBOUNDED)
    return Measurement.get(console, options, table).maximum <= console.width


def write(text: str) -> None:
    """Write a text to the standard output; if its reader (such as `head`) has left, do not fail."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        leave_pipe()


def leave_pipe() -> None:
    """Discard all further output to the standard output.

    Otherwise Python would complain about the closed pipe at its end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
