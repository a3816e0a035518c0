"""Other implementations of Adam.

Each makes an `Update` of given weights by given gradients. The libraries are imported when an
update is made, not with this file. So the command line can list the names without waiting for them.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

MODES = ("eager", "graph", "xla")
"""The modes: called from Python; in a `tf.function`; in a step that XLA compiles as a whole."""

# Keras's defaults, because other libraries have other defaults.
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 0.001, 0.9, 0.999, 1e-7

WEIGHT_DECAY, CLIP_NORM = 0.004, 1e-3
"""The arguments of a peer that decays and clips. The bound is so low that each call clips the
random gradients, even if an earlier call has clipped them in place."""


@dataclasses.dataclass(frozen=True)
class Update:
    """One update of all variables, as functions."""

    start: Callable[[], object]
    """Begins an update; at its return the device may still compute."""
    wait: Callable[[], object]
    """Returns when all variables have been updated."""
    weights: Callable[[], list[Any]]
    """Returns the values of the variables."""
    state: Callable[[], Iterable[Any]]
    """Returns the values of the optimizer's own variables, one after the other."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """An implementation of Adam that is not a Keras 3 optimizer."""

    build: Callable[[str, str, list[Any], list[Any]], Update]
    """Makes the update from mode, device, weights and gradients (NumPy arrays)."""
    backend: str
    package: str
    """The package that the peer needs."""
    modes: Sequence[str]


def in_mode(function: Callable[[], object], mode: str) -> Callable[[], object]:
    """Return `function` in the form that TensorFlow runs in this mode.

    Eager tensors of the function become arguments of the graph. They are read at each call, and
    nothing can be computed from them in advance.
    """
    if mode == "eager":
        return function
    import tensorflow as tf

    jit_compile = True if mode == "xla" else None  # None is the default in Keras's `fit`
    return tf.function(function, autograph=False, jit_compile=jit_compile)


def _tf_variables(values: list[Any]) -> list[Any]:
    import tensorflow as tf

    return [tf.Variable(value) for value in values]


def _resource_apply_adam(
    mode: str, device: str, weights: list[Any], gradients: list[Any]
) -> Update:
    """TensorFlow's fused kernel, one call for each variable, as in tf.keras until 2.10."""
    import numpy as np
    import tensorflow as tf

    from benchmarks.device import synchronize

    variables = _tf_variables(weights)
    momentums, velocities = (_tf_variables([np.zeros_like(w) for w in weights]) for _ in range(2))
    gradients = [tf.convert_to_tensor(value) for value in gradients]
    powers = [tf.Variable(BETA_1), tf.Variable(BETA_2)]
    constants = {
        name: tf.constant(value)
        for name, value in {
            "lr": LEARNING_RATE,
            "beta1": BETA_1,
            "beta2": BETA_2,
            "epsilon": EPSILON,
        }.items()
    }

    def apply() -> None:
        beta1_power, beta2_power = (power.read_value() for power in powers)
        for variable, momentum, velocity, gradient in zip(
            variables, momentums, velocities, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=momentum.handle,
                v=velocity.handle,
                beta1_power=beta1_power,
                beta2_power=beta2_power,
                grad=gradient,
                **constants,
            )
        powers[0].assign(beta1_power * BETA_1)
        powers[1].assign(beta2_power * BETA_2)

    return Update(
        start=in_mode(apply, mode),
        wait=lambda: synchronize(()),
        weights=lambda: [variable.numpy() for variable in variables],
        state=lambda: (variable.numpy() for variable in [*momentums, *velocities, *powers]),
    )


def _tf_keras_adam(mode: str, device: str, weights: list[Any], gradients: list[Any]) -> Update:
    import tensorflow as tf
    import tf_keras

    from benchmarks.device import synchronize

    variables = _tf_variables(weights)
    gradients = [tf.convert_to_tensor(value) for value in gradients]
    optimizer = tf_keras.optimizers.Adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON)
    optimizer.build(variables)
    pairs = list(zip(gradients, variables, strict=True))
    return Update(
        start=in_mode(lambda: optimizer.apply_gradients(pairs), mode),
        wait=lambda: synchronize(()),
        weights=lambda: [variable.numpy() for variable in variables],
        state=lambda: (tf.convert_to_tensor(v).numpy() for v in optimizer.variables),
    )


def _torch(
    mode: str,
    device: str,
    weights: list[Any],
    gradients: list[Any],
    *,
    clips: bool = False,
    **implementation: bool,
) -> Update:
    """PyTorch's own Adam; with `clips`, its AdamW after it has clipped the gradients' norm."""
    import torch

    place = "cuda" if device == "gpu" else "cpu"
    parameters = [torch.nn.Parameter(torch.tensor(value, device=place)) for value in weights]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient, device=place)
    optimizer = (torch.optim.AdamW if clips else torch.optim.Adam)(
        parameters,
        LEARNING_RATE,
        betas=(BETA_1, BETA_2),
        eps=EPSILON,
        weight_decay=WEIGHT_DECAY if clips else 0.0,
        **implementation,
    )

    def start() -> None:
        if clips:
            torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()

    return Update(
        start=start,
        wait=torch.cuda.synchronize if device == "gpu" else lambda: None,  # a CPU never runs ahead
        weights=lambda: [parameter.detach().cpu().numpy() for parameter in parameters],
        state=lambda: (v for values in optimizer.state.values() for v in values.values()),
    )


def _optax_adam(mode: str, device: str, weights: list[Any], gradients: list[Any]) -> Update:
    import jax
    import jax.numpy as jnp
    import optax

    adam = optax.adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(parameters: Any, state: Any, gradients: Any) -> Any:
        updates, state = adam.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state

    parameters, gradients = ([jnp.array(value) for value in v] for v in (weights, gradients))
    state = adam.init(parameters)

    def start() -> None:
        nonlocal parameters, state
        parameters, state = step(parameters, state, gradients)

    return Update(
        start=start,
        wait=lambda: jax.block_until_ready((parameters, state)),
        weights=lambda: parameters,
        state=lambda: jax.tree.leaves(state),
    )


PEERS: Mapping[str, Peer] = {
    "resource_apply_adam": Peer(
        _resource_apply_adam, "tensorflow", "tensorflow", ("eager", "graph")
    ),
    "torch_fused": Peer(functools.partial(_torch, fused=True), "torch", "torch", ("eager",)),
    "torch_foreach": Peer(functools.partial(_torch, foreach=True), "torch", "torch", ("eager",)),
    "torch_loop": Peer(functools.partial(_torch, foreach=False), "torch", "torch", ("eager",)),
    "torch_fused_adamw_clipped": Peer(
        functools.partial(_torch, fused=True, clips=True), "torch", "torch", ("eager",)
    ),
    "optax_adam": Peer(_optax_adam, "jax", "optax", ("xla",)),
    "tf_keras_adam": Peer(_tf_keras_adam, "tensorflow", "tf_keras", MODES),
}
