"""The benchmark's update on JAX works in place, and XLA copies no argument."""

import pytest

from benchmarks import worker
from benchmarks.programs import hlo

SHAPES = [(64,), (3, 3, 16, 32), (100, 64), (64,), (100, 64)]


def compile_update(optimizer_text, send):
    """Send the optimized program; in a worker on JAX."""
    import keras

    from benchmarks import optimizers
    from benchmarks.run import parse_optimizer
    from benchmarks.updates import one_update

    optimizer = optimizers.build(parse_optimizer(optimizer_text), 0.001)
    variables = [keras.Variable(keras.ops.ones(shape)) for shape in SHAPES]
    optimizer.build(variables)
    state = [variable.value for variable in optimizer.variables]
    weights = [variable.value for variable in variables]
    compiled = one_update.in_place(optimizer).lower(state, weights, weights).compile()
    send(compiled.as_text())


@pytest.mark.parametrize("optimizer", ["keras_adam", "adam", "keras_adamw(global_clipnorm=1.0)"])
def test_no_array_is_copied(optimizer):
    pytest.importorskip("jax")
    (text,) = worker.run(f"{__name__}:compile_update", optimizer, backend="jax", device="cpu")
    copied = [i for _, i in hlo.parse(text).scheduled if i.opcode == "copy" and i.bytes > 8]
    assert copied == []
    assert "input_output_alias" in text
