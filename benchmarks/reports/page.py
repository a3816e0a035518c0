"""A document of headings, text, tables and plots, as HTML and as Markdown.

All text is escaped; nothing is loaded from anywhere.
"""

import base64
import dataclasses
import html
import itertools
import re
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
class Details:
    """Blocks that are folded away until somebody wants them."""

    summary: str
    blocks: Sequence["Block"]


@dataclasses.dataclass(frozen=True)
class Plot:
    """A picture."""

    file: str
    """Name of the PNG file, relative to the document."""
    png: bytes
    caption: str


Block = Heading | Text | Items | Table | Details | Plot

VERDICTS = {"differe": "difference", "no diff": "none", "inconcl": "inconclusive"}
"""How the cells begin that are set apart, and the class that does it."""

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 74rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: 1.05rem; } p { max-width: 50rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left;
         vertical-align: top; min-width: 3.2rem; }
td:first-child { min-width: 9rem; } td.number { overflow-wrap: normal; }
td.number { text-align: right; }
td.difference { font-weight: 600; } td.none { color: #333; } td.inconclusive { color: #767676; }
.plots { display: flex; flex-wrap: wrap; gap: 0 1rem; }
figure { margin: 1rem 0; flex: 1 1 24rem; max-width: 36rem; }
img { display: block; width: 100%; height: auto; }
figcaption { font-size: .875rem; color: #555; }
summary { cursor: pointer; padding: .5rem 0; }
@media (max-width: 44rem) {
  thead { display: none; }
  table, tbody, tr, td { display: block; width: 100%; box-sizing: border-box; }
  tr { border: 1px solid #ccc; border-radius: .4rem; margin: .6rem 0; padding: .3rem 0; }
  td, td.number, td:first-child { display: flex; justify-content: space-between; gap: 1rem;
                  min-width: 0; border: 0;
                  text-align: right; padding: .1rem .6rem; }
  td::before { content: attr(data-label); color: #555; font-weight: 400; text-align: left;
               flex: 0 0 auto; max-width: 45%; overflow-wrap: anywhere; }
  td:empty { display: none; }
}
"""
"""On a phone, each row of a table becomes a card: a line each cell, with its heading."""


def to_html(title: str, blocks: Iterable[Block]) -> str:
    """Return one self-contained HTML file."""
    body = _body(blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return Markdown that shows the plots from their PNG files."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _body(blocks: Iterable[Block]) -> str:
    """Return the blocks one after the other, and plots that follow each other side by side."""
    parts = []
    for is_plot, group in itertools.groupby(blocks, lambda block: isinstance(block, Plot)):
        text = "\n".join(map(_html, group))
        parts.append(f'<div class="plots">{text}</div>' if is_plot else text)
    return "\n".join(parts)


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
            lines = "".join(f"<tr>{''.join(map(_cell, header, row))}</tr>\n" for row in rows)
            return (
                f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n'
                f"<tbody>{lines}</tbody>\n</table></div>"
            )
        case Details(summary, blocks):
            title = html.escape(summary)
            return f"<details><summary>{title}</summary>\n{_body(blocks)}\n</details>"
        case Plot(_, png, caption):
            data = base64.b64encode(png).decode()
            text = html.escape(caption)
            return (
                f'<figure><img src="data:image/png;base64,{data}" alt="{text}">'
                f"<figcaption>{text}</figcaption></figure>"
            )


def _cell(label: str, text: str) -> str:
    kind = VERDICTS.get(text[:7], "")
    if re.match(r"[+-]?\d|x \d", text):
        kind = "number"
        text = text.replace(" %", "\N{NO-BREAK SPACE}%").replace("x ", "x\N{NO-BREAK SPACE}")
    attribute = f' class="{kind}"' if kind else ""
    return f'<td{attribute} data-label="{html.escape(label)}">{html.escape(text)}</td>'


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
        case Details(summary, blocks):
            return "\n\n".join([_plain(summary), *map(_markdown, blocks)])
        case Plot(file, _, caption):
            return f"![{_plain(caption)}]({file})"


def _plain(text: str) -> str:
    """Take from the characters that mean something in Markdown or HTML what they mean."""
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split("\n"))
