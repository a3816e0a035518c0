"""Prepares one optimizer update for timing, in a worker process.

Every optimizer starts from the same random weights and has the same random gradients. Every
optimizer has its own process. The process computes only on request, because the thread pools of two
libraries would take the cores from each other.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import device as devices
from benchmarks import optimizers
from benchmarks.environment import Checked, environment
from benchmarks.errors import InputError, one_line
from benchmarks.run import OptimizerSpec, parse_optimizer
from benchmarks.updates import bandwidth, peers, shapes, training_step
from benchmarks.updates.shapes import EmbeddingTable, Shapes

BANDWIDTH = "bandwidth"
"""The name of the bandwidth in place of an optimizer."""


@dataclasses.dataclass(frozen=True)
class Ready:
    """The message of a worker that has done its first update."""

    first_call_seconds: float
    state_bytes: int


@dataclasses.dataclass(frozen=True)
class Turn:
    """The message of a worker that has done the requested updates."""

    seconds: list[float]
    memory_mb: float | None
    """The largest memory since `Ready`, minus the memory at that time; on a CPU."""


def check_updates(
    texts: Sequence[str],
    names: Sequence[str],
    backend: str,
    device: str | None,
    send: Callable[[Any], None],
) -> None:
    """Find errors that would come later; send `Checked`, then the shapes of each name.

    Raises:
        InputError: the device does not exist, or an optimizer refuses its arguments.
    """
    device = devices.find(backend, device)
    for text in texts:
        if parse_optimizer(text).name not in peers.PEERS:
            try:  # only an update finds a value of the wrong kind
                _seconds(build(text, "eager", [(1,)], device))
            except InputError:
                raise
            except Exception as error:
                raise InputError(one_line(error), optimizer=text) from error
    send(Checked(device, environment(backend)))
    for name in names:
        send(shapes.of(name))


def serve(
    text: str,
    mode: str,
    name: str,
    its_shapes: Shapes,
    device: str,
    receive: Callable[[], int],
    send: Callable[[Any], None],
) -> None:
    """Send `Ready` after the first update; then, for each n received, a `Turn` of n updates."""
    if mode in training_step.MODES:
        update = training_step.build(parse_optimizer(text), mode, name)
    else:
        update = build(text, mode, its_shapes, device)
    first_call_seconds = _seconds(update)
    send(Ready(first_call_seconds, sum(value.nbytes for value in update.state())))
    memory_mb = devices.restart_peak_memory() if device == "cpu" else None
    while True:  # until the parent closes the connection
        seconds = [_seconds(update) for _ in range(receive())]
        grown_mb = None
        if memory_mb is not None:
            grown_mb = (devices.peak_memory_mb("tensorflow", "cpu") or 0.0) - memory_mb
        send(Turn(seconds, grown_mb))


def _seconds(update: peers.Update) -> float:
    begin = time.perf_counter()
    update.start()
    update.wait()
    return time.perf_counter() - begin


def build(text: str, mode: str, its_shapes: Shapes, device: str) -> peers.Update:
    """Make variables of these shapes, and the optimizer that `text` names, for this process."""
    import numpy as np

    if text == BANDWIDTH:
        return bandwidth.build(mode, its_shapes, device)
    spec = parse_optimizer(text)
    sparse = any(isinstance(shape, EmbeddingTable) for shape in its_shapes)
    on_tensorflow = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    if sparse and (spec.name in peers.PEERS or not on_tensorflow):
        raise InputError(
            "the gradient of an embedding is sparse, which only Keras's optimizers on TensorFlow "
            "take here",
            optimizer=text,
        )
    generator = np.random.default_rng(0)
    weights = [generator.standard_normal(shape, np.float32) for shape in its_shapes]
    gradients = [_gradient(shape, generator) for shape in its_shapes]
    if spec.name in peers.PEERS:
        return peers.PEERS[spec.name].build(mode, device, weights, gradients)
    return _keras(spec, mode, weights, gradients)


def _gradient(shape: tuple[int, ...], generator: Any) -> Any:
    """Make a random gradient: an array, or for a table (rows, values, shape)."""
    import numpy as np

    if not isinstance(shape, EmbeddingTable):
        return generator.standard_normal(shape, np.float32)
    rows = generator.choice(shape[0], EmbeddingTable.NAMED_ROWS, replace=False)
    return (
        rows,
        generator.standard_normal((EmbeddingTable.NAMED_ROWS, *shape[1:]), np.float32),
        shape,
    )


def _tensor(gradient: Any) -> Any:
    import keras

    if isinstance(gradient, tuple):
        import tensorflow as tf

        rows, values, shape = gradient
        return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant(shape))
    return keras.ops.convert_to_tensor(gradient)


def _keras(
    spec: OptimizerSpec, mode: str, weights: list[Any], gradients: list[Any]
) -> peers.Update:
    import keras

    from benchmarks.device import synchronize

    optimizer = optimizers.build(spec, optimizers.learning_rate(spec, peers.LEARNING_RATE))
    variables = [keras.Variable(value) for value in weights]
    gradients = [_tensor(gradient) for gradient in gradients]
    optimizer.build(variables)
    if mode == "xla" and keras.backend.backend() == "jax":
        return _keras_stateless(optimizer, variables, gradients)
    return peers.Update(
        start=peers.in_mode(lambda: optimizer.apply(gradients, variables), mode),
        wait=lambda: synchronize(variables),
        weights=lambda: [variable.numpy() for variable in variables],
        state=lambda: (variable.numpy() for variable in optimizer.variables),
    )


def _keras_stateless(optimizer: Any, variables: list[Any], gradients: list[Any]) -> peers.Update:
    import jax

    jitted = in_place(optimizer)
    state = [variable.value for variable in optimizer.variables]
    weights = [variable.value for variable in variables]

    def start() -> None:
        nonlocal weights, state
        state, weights = jitted(state, gradients, weights)

    return peers.Update(
        start=start,
        wait=lambda: jax.block_until_ready((weights, state)),
        weights=lambda: weights,
        state=lambda: state,
    )


def in_place(optimizer: Any) -> Any:
    """Return the update as a `jax.jit` that reuses the memory of the state and the weights.

    The function takes (state, gradients, weights), which are lists of arrays, and returns the new
    (state, weights) in the order of the arguments. XLA pairs donated arguments with results by
    shape and order, and copies results that it has paired wrongly.
    """
    import jax

    def update(state: Any, gradients: Any, weights: Any) -> tuple[Any, Any]:
        weights, state = optimizer.stateless_apply(state, gradients, weights)
        return state, weights

    return jax.jit(update, donate_argnums=(0, 2))
