"""The benchmark's update on JAX works in place, and XLA copies no argument."""

import pytest

from benchmarks import worker
from benchmarks.programs import hlo

OPTIMIZERS = ("keras_adam", "adam", "keras_adamw(global_clipnorm=1.0)")
SHAPES = [(64,), (3, 3, 16, 32), (100, 64), (64,), (100, 64)]


def compile_updates(send):
    """Send the optimized program of each optimizer; in a worker on JAX."""
    import keras

    from benchmarks import optimizers
    from benchmarks.run import parse_optimizer
    from benchmarks.updates import one_update

    for text in OPTIMIZERS:
        optimizer = optimizers.build(parse_optimizer(text), 0.001)
        variables = [keras.Variable(keras.ops.ones(shape)) for shape in SHAPES]
        optimizer.build(variables)
        state = [variable.value for variable in optimizer.variables]
        weights = [variable.value for variable in variables]
        compiled = one_update.in_place(optimizer).lower(state, weights, weights).compile()
        send(compiled.as_text())


@pytest.fixture(scope="module")
def programs():
    pytest.importorskip("jax")
    found = worker.run(f"{__name__}:compile_updates", backend="jax", device="cpu")
    return dict(zip(OPTIMIZERS, found, strict=True))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_array_is_copied(programs, optimizer):
    text = programs[optimizer]
    copied = [i for _, i in hlo.parse(text).scheduled if i.opcode == "copy" and i.bytes > 8]
    assert copied == []
    assert "input_output_alias" in text
