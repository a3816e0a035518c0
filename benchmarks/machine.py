"""The cores and the memory that this process may use, including limits of a container.

Linux limits containers by control groups, of version 1 or 2. The limits of all groups above the
process's own group apply, too.
"""

import math
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path("/")


def usable_cores(root: Path = ROOT) -> int:
    """Return how many logical cores the process may use; a part of a core counts as one."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = float(found or 1)
    for group in _groups("cpu", root):
        both = _read(group / "cpu.max") or " ".join(
            _read(group / f"cpu.cfs_{what}_us") or "max" for what in ("quota", "period")
        )
        quota, period = both.split()
        if quota not in ("max", "-1"):
            cores = min(cores, int(quota) / int(period))
    return math.ceil(cores)


def memory_bytes(root: Path = ROOT) -> int:
    """Return how much memory the process may use if no other process uses any."""
    return min([psutil.virtual_memory().total, *(limit for limit, _ in _memory(root))])


def free_memory_bytes(root: Path = ROOT) -> int:
    """Return how much memory is free for the process now."""
    free = [limit - used for limit, used in _memory(root)]
    return max(0, min([psutil.virtual_memory().available, *free]))


def process_seconds() -> float:
    """Return the seconds since this process started."""
    return float(time.time() - psutil.Process().create_time())


def oom_kills(root: Path = ROOT) -> int:
    """Return how many processes Linux has killed so far because memory ran out.

    The count is that of this process's control group, or else that of the whole machine; 0 if there
    is no count.
    """
    for group in _groups("memory", root):
        for name in ("memory.events", "memory.oom_control"):
            found = re.search(r"^oom_kill (\d+)$", _read(group / name) or "", re.MULTILINE)
            if found:
                return int(found[1])
    found = re.search(r"^oom_kill (\d+)$", _read(root / "proc/vmstat") or "", re.MULTILINE)
    return int(found[1]) if found else 0


def _memory(root: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use, in bytes, of each group that has a limit."""
    for group in _groups("memory", root):
        for limit_file, used_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit = _read(group / limit_file)
            if limit is not None and limit != "max":
                yield int(limit), int(_read(group / used_file) or 0)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of the process's group and of the visible groups above it."""
    mounts = root / "sys/fs/cgroup"
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":  # version 2
            mount = mounts
        elif controller in controllers.split(","):
            mount = mounts / controllers
            mount = mount if mount.exists() else mounts / controller
        else:
            continue
        parts = Path(path.strip("/")).parts
        yield from (mount.joinpath(*parts[:n]) for n in range(len(parts), -1, -1))


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
