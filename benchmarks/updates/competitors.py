"""The competitors of a race: an optimizer in a mode, in its own process."""

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import machine, optimizers, worker
from benchmarks.errors import InputError
from benchmarks.names import nearest
from benchmarks.run import OptimizerSpec, parse_optimizer
from benchmarks.updates import bandwidth, peers, training_step
from benchmarks.updates.one_update import BANDWIDTH, Ready, Turn
from benchmarks.updates.shapes import Shapes, parameters

RESIDENT_BYTES = 16
"""The bytes for each parameter and process: weight, momentum, velocity, gradient."""

PROCESS_BYTES = 700e6
"""The other bytes of a process, for the libraries."""


MODES: Mapping[str, Sequence[str]] = {
    "tensorflow": (*peers.MODES, *training_step.MODES),
    "jax": ("eager", "xla"),
    "torch": ("eager", "fit"),
}
"""The modes of a Keras optimizer on each backend."""


@dataclasses.dataclass(frozen=True)
class Competitor:
    """An optimizer in a mode."""

    optimizer: str
    """The optimizer, as the text of an `OptimizerSpec`."""
    mode: str
    backend: str

    @property
    def is_limit(self) -> bool:
        """Whether this measures the memory and is no optimizer."""
        return self.optimizer == BANDWIDTH

    def __str__(self) -> str:
        """Return the name for a line of output."""
        return f"{self.optimizer} {self.mode}"


def limits(backend: str) -> tuple[Competitor, ...]:
    """Return the competitors that measure the memory; on a GPU, the backend's library moves it.

    They take turns like optimizers, and each kernel has its own process.
    """
    return tuple(Competitor(BANDWIDTH, kernel, backend) for kernel in bandwidth.KERNELS)


def combine(
    texts: Sequence[str], modes: Sequence[str], backend: str
) -> tuple[list[Competitor], list[str]]:
    """Combine optimizers and modes; return the competitors, and a line for each one left out.

    Raises:
        InputError: an optimizer is not known or not installed, or no competitor is left.
    """
    found, left_out = [], []
    for text in texts:
        spec, its_backend, its_modes = _find(text, backend)
        for mode in modes:
            if mode in its_modes:
                found.append(Competitor(str(spec), mode, its_backend))
            else:
                left_out.append(
                    f"{spec} on {its_backend} has no mode {mode}, only {', '.join(its_modes)}"
                )
    if not found:
        raise InputError(left_out[0], mode=modes[0])
    return found, left_out


def _find(text: str, backend: str) -> tuple[OptimizerSpec, str, Sequence[str]]:
    """Look an optimizer up; return it with its backend and its modes."""
    spec = parse_optimizer(text)
    peer = peers.PEERS.get(spec.name)
    if peer is None:
        if not (":" in spec.name or spec.name in optimizers.OPTIMIZERS):
            names = [*optimizers.OPTIMIZERS, *peers.PEERS]
            raise InputError(f"not an optimizer; {nearest(spec.name, names)}", optimizer=spec.name)
        return spec, backend, MODES[backend]
    if spec.arguments:
        raise InputError(f"{spec.name} takes no arguments here", optimizer=text)
    if importlib.util.find_spec(peer.package) is None:
        raise InputError(
            f"{peer.package} is not installed; pip install -e '.[peers]' installs it",
            optimizer=text,
        )
    return spec, peer.backend, peer.modes


def check_memory(shapes: dict[str, Shapes], competitors: int, device: str) -> None:
    """Check that all competitors together fit into the memory, for each set of shapes.

    Raises:
        InputError: they do not fit.
    """
    if device == "gpu":
        return
    free = machine.free_memory_bytes()
    for name, its_shapes in shapes.items():
        one = PROCESS_BYTES + RESIDENT_BYTES * parameters(its_shapes)
        memory = len(bandwidth.KERNELS) * (PROCESS_BYTES + bandwidth.WORKING_SET_BYTES)
        needed = one * competitors + memory
        if needed > free:
            raise InputError(
                f"{competitors} competitors need about {needed / 1e9:.0f} GB of memory, "
                f"{free / 1e9:.0f} GB are free; name fewer optimizers or modes",
                shapes=name,
            )


class FailedError(Exception):
    """A competitor has raised an error or died; the message is one line."""


class Process:
    """A competitor in its own process, which computes only on request."""

    def __init__(self, competitor: Competitor, name: str, shapes: Shapes, device: str) -> None:
        self._messages = worker.run(
            "benchmarks.updates.one_update:serve",
            competitor.optimizer,
            competitor.mode,
            name,
            shapes,
            device,
            backend=competitor.backend,
            device=device,
            listens=True,
        )
        self.ready: Ready = self._receive(None)

    def update(self, repetitions: int) -> Turn:
        """Do this number of updates; return their times."""
        return self._receive(repetitions)

    def close(self) -> None:
        """End the process."""
        self._messages.close()

    def _receive(self, command: int | None) -> Any:
        message = self._messages.send(command)
        if isinstance(message, worker.Failure):
            self.close()
            raise FailedError(message.error)
        return message
