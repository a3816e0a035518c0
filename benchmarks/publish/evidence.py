"""Writes the numbers in README and docs from the results: `python -m benchmarks.publish.evidence`.

A document has pairs of comments. The command writes a table between the two comments of a pair:

    <!-- evidence: updates update -->
    <!-- end of evidence -->

The first word, `updates`, is a table of `evidence_tables`. The second, `update`, is a folder under
results/. A test compares every document with the CSV files, so that no number is written by hand.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.errors import InputError
from benchmarks.publish import picture as evidence_picture
from benchmarks.publish.evidence_tables import TABLES

ROOT = Path(__file__).parents[2]
PICTURE = Path("docs") / "update.svg"
NOT_MEASURED = "Not measured yet.\n"

BLOCK = re.compile(
    r"(?P<begin><!-- evidence: (?P<table>\w+) (?P<folder>\w+) -->\n).*?"
    r"(?P<end><!-- end of evidence -->)",
    re.DOTALL,
)


def documents(root: Path) -> Iterator[Path]:
    """Find README.md and the pages below docs/."""
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


def fill(text: str, results: Path) -> str:
    """Return a document with its tables filled in from the folders in `results`.

    Raises:
        InputError: there is no such table.
    """

    def block(match: re.Match[str]) -> str:
        table, folder = match["table"], results / match["folder"]
        if table not in TABLES:
            raise InputError(f"evidence: {table}: expected one of {', '.join(TABLES)}")
        content = TABLES[table](folder) if folder.exists() else NOT_MEASURED
        return f"{match['begin']}\n{content}\n{match['end']}"

    return BLOCK.sub(block, text)


def main(root: Path = ROOT) -> None:
    """Update all documents and the picture from the results."""
    for path in documents(root):
        before = path.read_text()
        after = fill(before, root / "results")
        if after != before:
            path.write_text(after)
            print(path.relative_to(root))
    (root / PICTURE).write_text(evidence_picture.draw(root / "results" / "update"))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"Error: {error}")
