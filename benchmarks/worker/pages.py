"""Finds the pages of programs and libraries in memory, and reads them in another process.

A forked process has a copy of all memory that its parent has written. It does not have the pages
that the parent has read from files, until it reads them, too. So its peak memory would be less than
that of a process that has imported the libraries itself, and its first steps would wait for the
pages.
"""

import ctypes
import mmap
from pathlib import Path

import numpy as np

Range = tuple[int, int]
"""An address and a length in bytes."""

PRESENT, OF_A_FILE = 63, 61
"""Bits of an entry of Linux's pagemap."""


def resident() -> list[Range]:
    """Return the ranges of mapped files that this process has read."""
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
