"""Names that the user gives: their meaning, and similar valid names."""

import difflib
import importlib
from collections.abc import Iterable
from typing import Any

from benchmarks.errors import InputError, one_line

BACKENDS = ("tensorflow", "jax", "torch")
"""The Keras backends on which a run can be done."""

MOST_NAMES = 30
"""The largest number of names in one line; TFDS has hundreds."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Name the valid names closest to `name`; if none is close, the first `MOST_NAMES` of all."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"valid are: {', '.join(names[:MOST_NAMES])}{more}"


def import_path(path: str, argument: str) -> Any:
    """Return the object at `package.module:name`, the value of `argument`.

    Raises:
        InputError: there is no such object, or its module cannot be imported.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # any error of the user's module
        raise InputError(one_line(error), **{argument: path}) from error
