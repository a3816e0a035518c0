"""The original files of a data set: whether they are here, or can be downloaded."""

import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.errors import InputError

CONNECTION_SECONDS = 5.0
"""The seconds after which a host that does not answer counts as out of reach."""


def check(builder: Any, manual_dir: Path | None) -> None:
    """Find in seconds an error that TFDS would raise after minutes of retries.

    Args:
        builder: a `tfds.core.DatasetBuilder` that is not prepared.
        manual_dir: folder with the original files; None means to download them.

    Raises:
        InputError: files are missing, and cannot be downloaded.
    """
    name = builder.name
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and manual_dir is None:
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise InputError(
            "cannot be downloaded by a program; download its files yourself and give their "
            f"folder: {instructions}",
            dataset=name,
            see=["manual_dir"],
        )
    missing = {
        url: info.filename
        for url, info in (builder.url_infos or {}).items()
        if not (manual_dir and info.filename and (manual_dir / info.filename).exists())
    }
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS or not missing or _any_host_answers(set(missing)):
        return
    if manual_dir is not None:
        raise InputError(
            f"for {name}, it does not contain "
            f"{', '.join(sorted(filter(None, missing.values())))}, and there is no network",
            manual_dir=manual_dir,
        )
    hosts = sorted({urllib.parse.urlsplit(url).netloc for url in missing})
    raise InputError(
        f"not prepared, and {', '.join(hosts)} did not answer: either prepare it on a machine with "
        "network and copy its folder here, or give the folder with its original files",
        dataset=name,
        see=["data_dir", "manual_dir"],
    )


def _any_host_answers(urls: set[str]) -> bool:
    """Say whether any of the hosts answers, even with an error."""
    answered = threading.Event()

    def ask(root: str) -> None:
        try:
            urllib.request.urlopen(
                urllib.request.Request(root, method="HEAD"), timeout=CONNECTION_SECONDS
            )
        except urllib.error.HTTPError:
            answered.set()
        except OSError:
            return
        answered.set()

    # Threads, because the look-up of a host's name has no timeout.
    threads = [
        threading.Thread(target=ask, args=(root,), daemon=True)
        for root in {f"{u.scheme}://{u.netloc}/" for u in map(urllib.parse.urlsplit, urls)}
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(CONNECTION_SECONDS)
    return answered.is_set()
