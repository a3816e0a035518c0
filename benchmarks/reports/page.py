"""A document of headings, text, tables and plots, as Markdown and as HTML.

The HTML is made from the Markdown. All text is escaped, and no other file is loaded.
"""

import dataclasses
import html
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclasses.dataclass(frozen=True)
class Heading:
    """The title of a section; level 1 is the title of the document."""

    text: str
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines that are shown as typed."""

    lines: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Items:
    """A list."""

    texts: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of text cells; cells that look like numbers are set to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Details:
    """Blocks that are hidden until the reader opens them."""

    summary: str
    blocks: Sequence["Block"]


@dataclasses.dataclass(frozen=True)
class Plot:
    """A picture."""

    file: str
    """The name of the SVG file, relative to the document."""
    svg: str
    caption: str


Block = Heading | Text | Code | Items | Table | Details | Plot

VERDICTS = {"differe": "difference", "no diff": "none", "inconcl": "inconclusive"}
"""The beginnings of cells with verdicts, and their classes in the page's style."""


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return Markdown that shows the plots from their SVG files."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def to_html(title: str, blocks: Iterable[Block]) -> str:
    """Return one self-contained HTML file: the Markdown with the plots inside."""
    blocks = list(blocks)
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(to_markdown(blocks))
    _mark_cells(tokens)
    pictures = {block.file: block.svg for block in _all(blocks) if isinstance(block, Plot)}
    body = parser.renderer.render(list(_with_figures(tokens, pictures)), parser.options, {})
    style = (resources.files("benchmarks.reports") / "page.css").read_text()
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_inline(text)}"
        case Text(text):
            return _paragraph(text)
        case Code(lines):
            return "\n".join(f"    {' '.join(line.splitlines())}" for line in lines)
        case Items(texts):
            return "\n".join(f"- {_paragraph(text)}" for text in texts)
        case Table(header, rows):
            head, *body = ("| " + " | ".join(map(_inline, line)) + " |" for line in (header, *rows))
            return "\n".join([head, "|" + " --- |" * len(header), *body])
        case Details(summary, blocks):
            inner = "\n\n".join(map(_markdown, blocks))
            opening = f"<details>\n<summary>{html.escape(_line(summary))}</summary>"
            return f"{opening}\n\n{inner}\n\n</details>"
        case Plot(file, _, caption):
            return f"![{_inline(caption)}]({file})"


def _inline(text: str) -> str:
    """Escape the characters that have a meaning in Markdown or HTML."""
    return re.sub(r"[\\`*_\[\]<>|&~#$]", r"\\\g<0>", _line(text))


def _paragraph(text: str) -> str:
    """Escape text at the beginning of a line, where more characters have a meaning."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", _inline(text))


def _line(text: str) -> str:
    return " ".join(text.split())


def _all(blocks: Iterable[Block]) -> Iterable[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from _all(block.blocks)


def _mark_cells(tokens: Sequence[Token]) -> None:
    """Give each cell its heading, for narrow screens, and its class."""
    headings: list[Token] = []
    texts: list[str] = []
    column = 0
    for token, content in itertools.pairwise(tokens):
        match token.type:
            case "thead_open":
                headings, texts = [], []
            case "tr_open":
                column = 0
            case "th_open":
                headings.append(token)
                texts.append(_text(content))
            case "td_open":
                text = _text(content)
                kind = VERDICTS.get(text[:7], "")
                if re.match(r"[+-]?\d|x \d", text):
                    kind = "number"
                    headings[column].attrs = {"class": "number"}
                token.attrs = {"data-label": texts[column], **({"class": kind} if kind else {})}
                for child in content.children or []:
                    child.content = _unbroken(child.content)
                column += 1


def _text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [])


def _unbroken(text: str) -> str:
    """Keep a number with its unit, and a range, on one line."""
    text = re.sub(r"(?<=\de-)(?=\d)", "\N{WORD JOINER}", text)
    text = re.sub(r"(?<=\d) (?=%)|(?<=\bx) (?=\d)", "\N{NO-BREAK SPACE}", text)
    return re.sub(r"\([^()]* to [^()]*\)", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _with_figures(tokens: Sequence[Token], pictures: Mapping[str, str]) -> Iterable[Token]:
    """Replace the paragraphs of pictures by the pictures, and put tables into frames.

    Pictures that follow each other are shown side by side.
    """
    waiting: list[str] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        image = _only_image(tokens, at)
        if image is not None:
            waiting.append(_figure(pictures[str(image.attrs["src"])], image.content))
            at += 3
            continue
        if waiting:
            yield _raw(f'<div class="plots">\n{"".join(waiting)}</div>\n')
            waiting = []
        if token.type == "code_block":
            # A browser would break a word, such as an option, after a hyphen.
            words = re.sub(r"\S+", r"<span>\g<0></span>", html.escape(token.content))
            token = _raw(f"<pre><code>{words}</code></pre>\n")
        if token.type == "table_open":
            yield _raw('<div class="table">')
        yield token
        if token.type == "table_close":
            yield _raw("</div>\n")
        at += 1
    if waiting:
        yield _raw(f'<div class="plots">\n{"".join(waiting)}</div>\n')


def _only_image(tokens: Sequence[Token], at: int) -> Token | None:
    if tokens[at].type != "paragraph_open":
        return None
    children = tokens[at + 1].children or []
    return children[0] if [child.type for child in children] == ["image"] else None


def _figure(svg: str, caption: str) -> str:
    caption = html.escape(re.sub(r"\\(.)", r"\1", caption))
    svg = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{caption}"', 1)
    # In the page, a plot has the page's background and the colour of its text.
    svg = svg.replace("#ffffff", "none", 1).replace("#000000", "currentColor")
    return f"<figure>\n{svg.strip()}\n<figcaption>{caption}</figcaption></figure>\n"


def _raw(text: str) -> Token:
    return Token("html_block", "", 0, content=text)
