"""Chooses the next run of a machine."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from benchmarks.run import RunConfig

Group = tuple[str, str, int]
"""The data set, the model and the seed. Runs that are compared agree in all three."""


def group_of(config: RunConfig) -> Group:
    """Return the group of a run."""
    return config.dataset, config.model, config.seed


class Pairing:
    """The runs that wait for a machine; all runs of a group go to one host."""

    def __init__(self, configs: Sequence[RunConfig], hosts: Mapping[Group, str]) -> None:
        """Begin with all runs waiting.

        Args:
            configs: the runs, in their order.
            hosts: host of each group that has results from an earlier sweep.
        """
        self._waiting: dict[Group, deque[RunConfig]] = {}
        self._hosts = dict(hosts)
        for config in configs:
            self._waiting.setdefault(group_of(config), deque()).append(config)

    def take(self, host: str, hosts: Collection[str]) -> RunConfig | None:
        """Remove and return the next run for `host`, or None if there is none.

        The host's own groups come first, then groups without a host, then those whose host is gone.

        Args:
            host: host with an idle worker.
            hosts: all hosts with a worker.
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
        """Put back a run that was not done; it comes first in its group."""
        self._waiting.setdefault(group_of(config), deque()).appendleft(config)
