"""Which run a machine does next."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from benchmarks.run import RunConfig

Group = tuple[str, str, int]
"""Data set, model and seed: what runs have in common that are compared with each other."""


def group_of(config: RunConfig) -> Group:
    """Return the group of a run."""
    return config.dataset, config.model, config.seed


class Pairing:
    """Runs that wait for a machine. All of a group go to the host that took its first one."""

    def __init__(self, configs: Sequence[RunConfig], hosts: Mapping[Group, str]) -> None:
        """Begin with all runs waiting.

        Args:
            configs: the runs, in the order in which they are to be done.
            hosts: where runs of some groups were done before.
        """
        self._waiting: dict[Group, deque[RunConfig]] = {}
        self._hosts = dict(hosts)
        for config in configs:
            self._waiting.setdefault(group_of(config), deque()).append(config)

    def take(self, host: str, hosts: Collection[str]) -> RunConfig | None:
        """Return the next run for `host`, which no longer waits; None if it has none to do.

        Its own groups come first, then those of nobody, then those whose host is gone.

        Args:
            host: which has a worker that is idle.
            hosts: those that have a worker.
        """

        def rank(group: Group) -> int:
            its_host = self._hosts.get(group)
            if its_host is None:
                return 1
            if its_host == host:
                return 0
            return 3 if its_host in hosts else 2

        group = min(self._waiting, key=rank, default=None)
        if group is None or rank(group) == 3:
            return None
        self._hosts[group] = host
        runs = self._waiting[group]
        config = runs.popleft()
        if not runs:
            del self._waiting[group]
        return config

    def give_back(self, config: RunConfig) -> None:
        """Let a run wait again that was not done; it comes first in its group."""
        self._waiting.setdefault(group_of(config), deque()).appendleft(config)
