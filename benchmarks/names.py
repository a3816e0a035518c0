"""Names that the user gives: what they stand for, and which were meant instead."""

import difflib
import importlib
from collections.abc import Iterable
from typing import Any

from benchmarks.errors import InputError, one_line

BACKENDS = ("tensorflow", "jax", "torch")
"""Of Keras, on which a run can be done."""

MOST_NAMES = 30
"""In one line; TFDS has hundreds."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Say which valid names are closest to `name`; if none is close, all of them, or the first."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"valid are: {', '.join(names[:MOST_NAMES])}{more}"


def import_path(path: str, argument: str) -> Any:
    """Return what `package.module:name` names, which was given as `argument`.

    Raises:
        InputError: there is nothing of that name, or its module cannot be imported.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the user's module does when it is imported
        raise InputError(one_line(error), **{argument: path}) from error
