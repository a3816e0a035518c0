"""A document of headings, text, tables and plots, as HTML and as Markdown.

All text is escaped; nothing is loaded from anywhere.
"""

import base64
import dataclasses
import html
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class Heading:
    """The title of a section; level 1 is that of the document."""

    text: str
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclasses.dataclass(frozen=True)
class Items:
    """A list."""

    texts: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells are text; those that look like numbers are set to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Plot:
    """A picture."""

    file: str
    """Name of the PNG file, relative to the document."""
    png: bytes
    caption: str


Block = Heading | Text | Items | Table | Plot

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: 1.05rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums;
        overflow-wrap: normal; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left;
         vertical-align: top; }
td.number { text-align: right; white-space: nowrap; }
figure { margin: 1rem 0; } img { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .875rem; color: #555; }
"""


def to_html(title: str, blocks: Iterable[Block]) -> str:
    """Return one self-contained HTML file."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return Markdown that shows the plots from their PNG files."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Text(text):
            return f"<p>{html.escape(text)}</p>"
        case Items(texts):
            return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in texts) + "</ul>"
        case Table(header, rows):
            head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
            lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
            return (
                f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n'
                f"<tbody>{lines}</tbody>\n</table></div>"
            )
        case Plot(_, png, caption):
            data = base64.b64encode(png).decode()
            text = html.escape(caption)
            return (
                f'<figure><img src="data:image/png;base64,{data}" alt="{text}">'
                f"<figcaption>{text}</figcaption></figure>"
            )


def _cell(text: str) -> str:
    is_number = text[:1].isdigit() or text[:1] in ("+", "-")
    attribute = ' class="number"' if is_number else ""
    return f"<td{attribute}>{html.escape(text)}</td>"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_plain(text)}"
        case Text(text):
            return _plain(text)
        case Items(texts):
            return "\n".join(f"- {_plain(text)}" for text in texts)
        case Table(header, rows):
            lines = [header, ["---"] * len(header), *rows]
            return "\n".join("| " + " | ".join(map(_plain, line)) + " |" for line in lines)
        case Plot(file, _, caption):
            return f"![{_plain(caption)}]({file})"


def _plain(text: str) -> str:
    """Take from the characters that mean something in Markdown or HTML what they mean."""
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split("\n"))
