"""Which pages of its programs and libraries a process has in memory, and to have them in another.

A process that is forked has a copy of all that its parent has written, but none of what the parent
has read from files, until it reads it, too. Its peak memory would be less than that of a process
that has imported the libraries itself, and its first steps would wait for the pages.
"""

import ctypes
import mmap
from pathlib import Path

import numpy as np

Range = tuple[int, int]
"""Address and length in bytes."""

PRESENT, OF_A_FILE = 63, 61
"""Bits of an entry of Linux's pagemap."""


def resident() -> list[Range]:
    """Return where this process has read from files that it has mapped."""
    found: list[Range] = []
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
        for line in Path("/proc/self/maps").read_text().splitlines():
            addresses, permissions, _, _, inode, *_ = line.split()
            if inode == "0" or not permissions.startswith("r"):
                continue
            start, end = (int(address, 16) // mmap.PAGESIZE for address in addresses.split("-"))
            pagemap.seek(8 * start)
            entries = np.frombuffer(pagemap.read(8 * (end - start)), np.uint64)
            is_here = (entries >> PRESENT) & (entries >> OF_A_FILE) & 1
            edges = np.flatnonzero(np.diff(is_here, prepend=0, append=0)).reshape(-1, 2)
            found += [
                ((start + int(first)) * mmap.PAGESIZE, int(last - first) * mmap.PAGESIZE)
                for first, last in edges
            ]
    return found


def touch(ranges: list[Range]) -> None:
    """Read a byte of each page."""
    for address, length in ranges:
        memory = np.ctypeslib.as_array((ctypes.c_uint8 * length).from_address(address))
        memory[:: mmap.PAGESIZE].max()
