"""Limits of control groups, as Docker and others set them."""

import psutil
import pytest

from benchmarks import machine


@pytest.fixture
def root(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def large_machine(monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: range(64), raising=False)
    memory = type("Memory", (), {"total": 10**12, "available": 10**11})
    monkeypatch.setattr(psutil, "virtual_memory", memory)


def test_without_limits_it_is_the_machine(root):
    found = root({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max"})
    assert machine.usable_cores(found) == 64
    assert machine.memory_bytes(found) == 10**12
    assert machine.free_memory_bytes(found) == 10**11


def test_version_2_and_the_groups_above(root):
    cgroup = "sys/fs/cgroup"
    found = root(
        {
            "proc/self/cgroup": "0::/docker/abc",
            f"{cgroup}/docker/abc/memory.max": "max",
            f"{cgroup}/docker/abc/cpu.max": "150000 100000",
            f"{cgroup}/docker/memory.max": 4_000_000_000,
            f"{cgroup}/docker/memory.current": 1_000_000_000,
        }
    )
    assert machine.usable_cores(found) == 2
    assert machine.memory_bytes(found) == 4_000_000_000
    assert machine.free_memory_bytes(found) == 3_000_000_000


def test_version_1_whose_path_is_that_outside_of_the_container(root):
    cgroup = "sys/fs/cgroup"
    found = root(
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc",
            f"{cgroup}/memory/memory.limit_in_bytes": 2_000_000_000,
            f"{cgroup}/memory/memory.usage_in_bytes": 500_000_000,
            f"{cgroup}/cpu,cpuacct/cpu.cfs_quota_us": 300_000,
            f"{cgroup}/cpu,cpuacct/cpu.cfs_period_us": 100_000,
        }
    )
    assert machine.usable_cores(found) == 3
    assert machine.memory_bytes(found) == 2_000_000_000
    assert machine.free_memory_bytes(found) == 1_500_000_000


def test_a_quota_of_minus_one_is_none(root):
    cgroup = "sys/fs/cgroup/cpu"
    found = root(
        {
            "proc/self/cgroup": "1:cpu:/",
            f"{cgroup}/cpu.cfs_quota_us": -1,
            f"{cgroup}/cpu.cfs_period_us": 100_000,
        }
    )
    assert machine.usable_cores(found) == 64


def test_kills_for_want_of_memory_are_counted(root):
    assert machine.oom_kills(root({"proc/self/cgroup": "0::/"})) == 0
    whole = {"proc/self/cgroup": "0::/a", "proc/vmstat": "pgfault 3\noom_kill 7\n"}
    assert machine.oom_kills(root(whole)) == 7
    events = "low 0\noom 3\noom_kill 2\noom_group_kill 9\n"
    assert machine.oom_kills(root({**whole, "sys/fs/cgroup/a/memory.events": events})) == 2
    old = {"proc/self/cgroup": "4:memory:/a", "sys/fs/cgroup/memory/a/memory.oom_control": events}
    assert machine.oom_kills(root({**whole, **old})) == 2


def test_how_long_this_process_has_been_there():
    before = machine.process_seconds()
    assert 0 < before <= machine.process_seconds() < 1e6
