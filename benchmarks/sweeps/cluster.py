"""The workers of a Dask scheduler, and whether they are fit for a sweep."""

import contextlib
import dataclasses
import logging
import pickle
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import distributed
from distributed.comm.addressing import get_address_host_port

from benchmarks import environment
from benchmarks.environment import Checked
from benchmarks.errors import InputError, one_line
from benchmarks.run import RunConfig
from benchmarks.sweeps import on_worker
from benchmarks.sweeps.request import SweepRequest

CONNECT_SECONDS = 5.0

TICK_SECONDS = 0.2
"""The seconds between two looks at the workers."""

TAKE_SECONDS = 60.0
"""The seconds in which a worker must hand over the result of a finished task."""

CLONE = "finds no benchmarks; start it with PYTHONPATH=. in the root of a clone of this project"

GONE = "the scheduler is gone"


class LostError(Exception):
    """A task was lost with its worker or the connection; the task must be done again."""


@contextlib.contextmanager
def at(address: str, say: Callable[[str], object]) -> Iterator["Cluster"]:
    """Connect to the Dask scheduler at `address`; print with `say`.

    Raises:
        InputError: no scheduler answers.
    """
    be_quiet()
    try:
        get_address_host_port(address)  # a client with a wrong address would not close
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        problem = f"no Dask scheduler answers there: {one_line(error)}"
        raise InputError(problem, cluster=address) from error
    with client:
        yield Cluster(client, say)


def be_quiet() -> None:
    """Turn Dask's log off, because the harness reports lost workers in one line each."""
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Cluster:
    """The workers of a scheduler, which may start and stop at any time."""

    def __init__(self, client: distributed.Client, say: Callable[[str], object]) -> None:
        self.client = client
        self.say = say
        self.checked: dict[str, Checked] = {}
        """The result of each worker's check, by its address."""
        self._scheduler: Any = client.scheduler
        self._check: tuple[Any, ...] = ()
        """The arguments of the check."""
        self._is_empty = False

    def workers(self) -> dict[str, str]:
        """Return the status of each worker by address; it is "running" if the worker takes tasks.

        Raises:
            ConnectionError: the scheduler is gone.
        """
        while self.client.status != "closed":
            # `client.scheduler_info` is not used, because Dask may renew it without the workers.
            with contextlib.suppress(OSError):
                info = self.client.sync(self._scheduler.identity, n_workers=-1)
                break
            time.sleep(TICK_SECONDS)  # Dask tries a lost connection again
        else:
            raise ConnectionError(GONE)
        found = {address: worker["status"] for address, worker in info["workers"].items()}
        if not found and not self._is_empty:
            self.say("The scheduler has no worker; waiting for one ...")
        self._is_empty = not found
        return found

    def submit(self, address: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Let the worker at `address` call a function; return Dask's future.

        Only bytes pass through the scheduler, so the scheduler does not need this project.
        """
        return self.client.submit(
            pickle.loads,
            pickle.dumps(on_worker.Call(function, arguments)),
            key=f"{function.__name__}-{uuid.uuid4()}",
            workers=[address],
            allow_other_workers=False,
            pure=False,
        )

    def submit_check(self, address: str) -> Any:
        """Let a worker do the check of `check`; return Dask's future.

        Raises:
            InputError: the worker does not find this project; a task would end the worker.
            LostError: the connection is lost.
        """
        try:
            found = self.client.run(find_spec, "benchmarks", workers=[address], on_error="ignore")
        except OSError as error:
            raise LostError from error
        if found.get(address, True) is None:
            raise InputError(f"worker {address} {CLONE}")
        return self.submit(address, on_worker.check_on_worker, *self._check)

    def take_check(self, address: str, future: Any) -> None:
        """Take the result of a check.

        Raises:
            InputError: the worker would fail in every run.
            LostError: the check must be done again.
        """
        try:
            self.checked[address] = self.take(future)
        except LostError:
            raise
        except InputError as error:
            raise error.at(f"worker {address}") from error
        except Exception as error:
            raise InputError(f"worker {address}: {one_line(error)}") from error

    def take(self, future: Any) -> Any:
        """Return the result of a task, or raise its exception.

        Raises:
            LostError: the worker or the scheduler was lost, before or during the transfer.
        """
        try:
            result, error = pickle.loads(future.result(timeout=TAKE_SECONDS))
        except distributed.KilledWorker as died:  # the worker has started again at this address
            raise LostError from died
        except Exception as lost:
            if future.status == "error":
                raise
            raise LostError from lost
        if isinstance(error, InterruptedError):  # the worker is about to end
            raise LostError from error
        if error is not None:
            raise error
        return result

    def check(self, configs: Sequence[RunConfig], request: SweepRequest) -> Checked:
        """Check every worker; wait for one if there is none yet.

        Raises:
            InputError: a worker would fail in every run, or two workers have different devices.
            ConnectionError: the scheduler is gone.
        """
        versions = environment.versions(configs[0].backend)
        expected = {**versions, "commit": environment.git_state()["commit"]}
        self._check = expected, list(configs), request
        futures: dict[str, Any] = {}
        while futures or not self.checked:
            there = self.workers()
            for address in there.keys() - futures.keys() - self.checked.keys():
                with contextlib.suppress(LostError):
                    futures[address] = self.submit_check(address)
            for address in list(futures):
                if address not in there:
                    del futures[address]
                elif futures[address].done():
                    with contextlib.suppress(LostError):
                        self.take_check(address, futures.pop(address))
            time.sleep(TICK_SECONDS)
        devices = {checked.device: address for address, checked in self.checked.items()}
        if len(devices) > 1:
            words = ", ".join(f"{address} has a {device}" for device, address in devices.items())
            raise InputError(
                f"the workers have different devices: {words}; name one", see=["device"]
            )
        checked = next(iter(self.checked.values()))
        request = dataclasses.replace(request, device=checked.device)
        self._check = expected, list(configs), request
        return checked
