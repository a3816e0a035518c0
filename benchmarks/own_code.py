"""A digest of the user's own code: of a module's file and of the files that it imports.

Imports are read from the text, not run, so that imports within functions count, too.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

DIGITS = 12
"""The number of hexadecimal digits of a digest."""

INSTALLED = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")
)
"""The folders of installed packages, which have a version."""

IMPORT_PATH = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)")


def digest(path: str) -> str | None:
    """Return a text that changes with the code at `package.module:name`.

    For an installed package, it is the name and the version. Otherwise it is a digest of the
    module's file and of all files that it imports, directly or through others, from the same folder
    or below.

    Returns:
        None if `path` is not an import path, or if its module is not found. None also for keras and
        keras_adam, because their versions have columns of their own.
    """
    match = IMPORT_PATH.fullmatch(path)
    if match is None:
        return None
    package = match["module"].partition(".")[0]
    if package in ("keras", "keras_adam"):
        return None
    try:
        # Not the full name: `find_spec` of a submodule would import the package.
        origin = getattr(importlib.util.find_spec(package), "origin", None)
        if origin and any(Path(origin).resolve().is_relative_to(one) for one in INSTALLED):
            return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        pass  # a module that the user has put there
    except (ImportError, ValueError):
        return None
    try:
        origin = getattr(importlib.util.find_spec(match["module"]), "origin", None)
    except (ImportError, ValueError):
        return None
    return _digest(Path(origin), match["module"]) if origin and Path(origin).is_file() else None


def _digest(file: Path, module: str) -> str:
    is_package = file.name == "__init__.py"
    root = file.parents[module.count(".") + is_package]
    found: dict[Path, str] = {}
    to_read = [(file, module if is_package else module.rpartition(".")[0])]
    while to_read:
        path, package = to_read.pop()
        if path in found:
            continue
        content = path.read_bytes()
        found[path] = hashlib.sha256(content).hexdigest()
        try:
            names = list(_imported(ast.parse(content), package))
        except (SyntaxError, ValueError):
            continue  # the run will raise the error when it imports the file
        for name in names:
            to_read += _files(root, name)
    lines = sorted(f"{path.relative_to(root).as_posix()} {one}" for path, one in found.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGITS]


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the names of modules that may be imported, including their submodules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            base = parts[: len(parts) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name
            yield from (f"{name}.{alias.name}".strip(".") for alias in node.names)


def _files(root: Path, module: str) -> Iterator[tuple[Path, str]]:
    """Yield the files below `root` that an import of a module runs, each with its package."""
    parts = module.split(".") if module else []
    for n in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:n])
        name = ".".join(parts[:n])
        if (place / "__init__.py").is_file():
            yield place / "__init__.py", name
        elif place.with_suffix(".py").is_file():
            yield place.with_suffix(".py"), ".".join(parts[: n - 1])
