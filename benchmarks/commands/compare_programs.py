"""`compare` for folders of `program`; its numbers are counts, so changes are exact."""

import itertools
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import printing
from benchmarks.analysis import programs
from benchmarks.analysis.programs import Change
from benchmarks.analysis.selection import Selection
from benchmarks.errors import InputError


def changes(folders: Sequence[Path], wanted: Selection) -> list[Change]:
    """Compare the programs of one folder with each other, or those of two folders.

    Raises:
        InputError: there is nothing to compare, or no such column or optimizer.
    """
    for metric in wanted.metrics:
        if metric not in programs.METRICS:
            raise InputError(f"valid are: {', '.join(programs.METRICS)}", metric=metric)
    if len(folders) == 1:
        return programs.within(folders[0], wanted)
    return programs.between(folders[0], folders[1], wanted)


def show(found: Sequence[Change], size: float | None, as_json: bool) -> int:
    """Print the changes; return the exit code: 1 if one is a regression of more than `size`."""
    if as_json:
        text = json.dumps([_object(change) for change in found], indent=1, allow_nan=False) + "\n"
    else:
        text = _text(found)
    printing.write(text)
    if size is None:
        return 0
    worse = [change for change in found if change.ratio > 1 + size]
    words = [
        f"Regression: {change.metric} of {change.subject} against {change.baseline}: "
        f"{change.before:.6g} to {change.after:.6g} ({change.problem})\n"
        for change in worse
    ]
    words.append(
        f"A regression of more than {100 * size:g}% is {'shown' if worse else 'excluded'}. "
        f"Comparisons that exclude it: {len(found) - len(worse)} of {len(found)}.\n"
    )
    if as_json:
        sys.stderr.write("".join(words))
    else:
        printing.write("".join(words))
    return int(bool(worse))


def _object(change: Change) -> dict[str, object]:
    ratio = change.ratio if math.isfinite(change.ratio) else None
    return {
        "metric": change.metric,
        "baseline": change.baseline,
        "subject": change.subject,
        "estimate": ratio,
        "low": ratio,
        "high": ratio,
        "p": None,
        "n": 1,
        "verdict": change.verdict,
        "scale": "ratio",
        "problem": change.problem,
    }


def _text(found: Sequence[Change]) -> str:
    """Return a table for each problem and pair of optimizers."""
    console = printing.console()
    with console.capture() as captured:
        _print(found, console)
    return captured.get()


def _print(found: Sequence[Change], console: Console) -> None:
    for (problem, baseline, subject), group in itertools.groupby(
        found, key=lambda change: (change.problem, change.baseline, change.subject)
    ):
        title = f"{subject} against {baseline}: {problem}"
        printing.say(console, title)
        rows = [
            (
                *(change.metric, f"{change.before:.6g}", f"{change.after:.6g}"),
                *(f"x {change.ratio:.4g}" if math.isfinite(change.ratio) else "", change.verdict),
            )
            for change in group
        ]
        header = ("metric", "before", "after", "change", "verdict")
        printing.table(console, header, rows)
        console.print()
