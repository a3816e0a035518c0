"""JAX's compilation cache on disk, used until the training begins, never while it lasts.

Each run is a process of its own. Without the cache, each would compile the initializers and the
evaluation again, which takes seconds. The training step is always compiled anew, because a run
measures this time.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = "jax_compilation_cache_dir"
"""The name of JAX's setting for the folder of the cache."""

folder: Path | None = None
"""The folder with the compiled programs; None means no cache. The parent process sends the path to
the worker."""


@contextlib.contextmanager
def from_disk(backend: str) -> Iterator[None]:
    """Take compiled programs from the folder, and store new ones there.

    A cache that the user has set for JAX is not changed.
    """
    settings: dict[str, Any] = {}
    if backend == "jax" and folder is not None:
        import jax

        if getattr(jax.config, FOLDER) is None:
            settings = {
                FOLDER: str(folder),
                "jax_persistent_cache_min_compile_time_secs": 0.0,
                "jax_persistent_cache_min_entry_size_bytes": -1,
            }
    with _with(settings):
        yield


@contextlib.contextmanager
def anew(backend: str) -> Iterator[None]:
    """Compile every program, even if the user has set a cache for JAX."""
    with _with({"jax_enable_compilation_cache": False} if backend == "jax" else {}):
        yield


@contextlib.contextmanager
def _with(settings: dict[str, Any]) -> Iterator[None]:
    if not settings:
        yield
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    before = {name: getattr(jax.config, name) for name in settings}

    def use(values: dict[str, Any]) -> None:
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # else JAX keeps the setting of its first compilation

    use(settings)
    try:
        yield
    finally:
        use(before)
