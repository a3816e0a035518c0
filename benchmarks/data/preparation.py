"""Prepares data sets on the disk once, from the network or from original files."""

import contextlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import filelock
import tensorflow_datasets as tfds

from benchmarks import tensorflow_module
from benchmarks.data import builders, image_folder, originals, own_data, random_access
from benchmarks.errors import InputError, one_line


def prepare(
    name: str, data_dir: Path | None, manual_dir: Path | None, backend: str = "tensorflow"
) -> Path | None:
    """Download or convert the data set `name`, unless it is prepared, and return its folder.

    For arrays from the user's own function, nothing is done, and None is returned.

    TFDS checks the SHA-256 of every original file. A lock keeps two processes
    from preparing the same data set at once.

    Args:
        name: the name, as for `sources.find`.
        data_dir: folder of the prepared data sets; None is TFDS's default.
        manual_dir: folder with the original files; None means to download them.
        backend: the Keras backend; files that can be read in any order are added if it needs them.

    Raises:
        InputError: the name is unknown, the files are missing or wrong, or the
            network is out of reach.
    """
    if name.startswith(image_folder.PREFIX):
        return image_folder.find(name).path
    if own_data.is_path(name) and not builders.is_builder(own_data.call(name)):
        return None
    builder = builders.find(name, data_dir)

    def is_prepared() -> bool:
        return builder.is_prepared() and (
            random_access.has(builder) or not random_access.needed(backend)
        )

    if is_prepared():
        return Path(builder.data_dir)
    if manual_dir is not None and not manual_dir.is_dir():
        raise InputError("no such folder", manual_dir=manual_dir)
    tensorflow_module.load()
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        root = Path(builder.data_dir).parents[1]
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / f".{builder.name}.lock"):
            if not builder.is_prepared():
                originals.check(builder, manual_dir)
                with contextlib.redirect_stdout(None):  # the progress bar on stderr is enough
                    builder.download_and_prepare(
                        download_config=tfds.download.DownloadConfig(
                            manual_dir=manual_dir,
                            force_checksums_validation=True,
                            try_download_gcs=False,
                        )
                    )
            if not is_prepared():
                random_access.add(builder)
    except InputError:
        raise
    except Exception as error:  # any error of TFDS; the user must see which data set
        raise InputError(f"could not be prepared: {_reason(error)}", dataset=name) from error
    return Path(builder.data_dir)


def _reason(error: Exception) -> str:
    """Return the error in one line; TFDS writes a whole example, pixel by pixel, before it."""
    first, *others = str(error).splitlines() or [""]
    if others and first.startswith("Failed to encode example"):
        return f"an example cannot be encoded: {others[-1]}"
    return one_line(error)


def prepare_all(
    names: Iterable[str],
    data_dir: Path | None,
    manual_dir: Path | None,
    backend: str,
    send: Callable[[tuple[str, Path | None]], None],
) -> None:
    """`prepare` each data set and send its name and folder."""
    for name in names:
        send((name, prepare(name, data_dir, manual_dir, backend)))
