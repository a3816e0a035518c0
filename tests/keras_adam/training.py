"""The modes in which an optimizer runs, so that a test can choose its modes."""

import itertools
import random
from pathlib import Path

import keras
import numpy as np

import keras_adam
from tests import processes
from tests.reference import ReferenceAdam

BACKEND = keras.backend.backend()
# Called from Python; inside a graph (`fit` on CPU); inside a step that is itself compiled
# (`fit(jit_compile=True)`, or any step on JAX), on PyTorch by `torch.compile`. With `torch.compile`
# each program takes seconds, so only `test_torch.py` compiles it.
MODES = {
    "tensorflow": ["eager", "graph", "compiled"],
    "jax": ["eager", "compiled"],
    "torch": ["eager"],
}[BACKEND]
# A mode and `jit_compile`.
ROUTES = list(itertools.product(MODES, [True, False]))


def pairs_in_some_mode(first, second):
    """Return every pair of one of `first` and one of `second`, each with one of the modes."""
    return [
        (one, other, MODES[(i + j) % len(MODES)])
        for i, one in enumerate(first)
        for j, other in enumerate(second)
    ]


def covering_rows(choices):
    """Return rows, each with one of every choice, so that any two values are in a common row."""

    def pairs(row):
        return set(itertools.combinations(enumerate(row), 2))

    generator = random.Random(0)
    positions = [range(len(choice)) for choice in choices]
    missing = set().union(*map(pairs, itertools.product(*positions)))
    rows = []
    while missing:
        drawn = [tuple(map(generator.choice, positions)) for _ in range(100)]
        rows.append(max(drawn, key=lambda row: len(pairs(row) & missing)))
        missing -= pairs(rows[-1])
    return [tuple(c[i] for c, i in zip(choices, row, strict=True)) for row in rows]


def make_step(optimizer, variables, mode="eager"):
    """Return a function that takes a list of gradients and does one step in the given mode."""
    optimizer.build(variables)
    if mode == "eager":
        return lambda gradients: optimizer.apply(gradients, variables)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(
            lambda gradients: optimizer.apply(gradients, variables),
            autograph=False,
            jit_compile=mode == "compiled",
        )
    if BACKEND == "torch":
        import torch

        return torch.compile(
            lambda gradients: optimizer.apply(gradients, variables), fullgraph=True
        )
    import jax

    stateless = jax.jit(optimizer.stateless_apply)

    def step(gradients):
        new_variables, new_state = stateless(
            [v.value for v in optimizer.variables], gradients, [v.value for v in variables]
        )
        for variable, value in zip(variables, new_variables, strict=True):
            variable.assign(value)
        for variable, value in zip(optimizer.variables, new_state, strict=True):
            variable.assign(value)

    return step


def train_on(model, x, y, steps):
    """Train a model on one batch for several steps."""
    for _ in range(steps):
        model.train_on_batch(x, y)


def everything(model):
    """Return the values of all variables of a model and of its optimizer."""
    return [v.numpy() for v in model.variables + model.optimizer.variables]


def assert_equal(model, other):
    """Check that two models and their optimizers have the same bits."""
    for a, b in zip(everything(model), everything(other), strict=True):
        np.testing.assert_array_equal(a, b)


def run_on_jax(script, *arguments, devices):
    """Run a script in a process on JAX, with `devices` devices of the CPU; return its output."""
    flags = f"{processes.FAST_COMPILATION} --xla_force_host_platform_device_count={devices}"
    return processes.run(script, arguments=arguments, backend="jax", XLA_FLAGS=flags)


# Our programs are called after their functions; "lambda" is a step that is itself compiled.
PROGRAMS = ["update", "accumulate", "square_sum", "all_finite"]  # on TensorFlow
PROGRAMS += ["lambda", "take_step", "total", "stateless_apply"]


def count_programs(dump):
    """Count our programs among those whose text XLA has written into the folder `dump`."""
    files = Path(dump).glob("module_*.before_optimizations.txt")
    return sum(any(name in file.name for name in PROGRAMS) for file in files)


def random_arrays(shapes, seed, scale=1.0):
    generator = np.random.default_rng(seed)
    return [generator.normal(scale=scale, size=shape) for shape in shapes]


def state(optimizer, kind):
    """Return the values of one kind of per-variable state, by its name in Keras."""
    ending = {"accumulator": "gradient_accumulator"}.get(kind, kind)
    return [v.numpy() for v in optimizer.variables if v.name.endswith(f"_{ending}")]


def train_both(options, shapes, mode, steps, *, dtype="float32", gradient_scale=1.0, **ours_only):
    """Train `keras_adam.Adam` and the reference in the same way; return both, and our variables."""
    initial = [a.astype(dtype) for a in random_arrays(shapes, seed=1)]
    reference = ReferenceAdam(**options).build(initial)
    variables = [keras.Variable(a, dtype=dtype) for a in initial]
    optimizer = keras_adam.Adam(**options, **ours_only)
    step = make_step(optimizer, variables, mode)
    for i in range(steps):
        gradients = [a.astype(dtype) for a in random_arrays(shapes, 100 + i, gradient_scale)]
        step([keras.ops.convert_to_tensor(g) for g in gradients])
        reference.apply(gradients)
    return optimizer, reference, variables


def assert_same_training(optimizer, reference, variables, atol=5e-6):
    """Compare weights and all state with the reference.

    Float32 keeps a weight between 2 and 4 to 1.2e-7 at each rounding, so that a
    hundred steps end within about 5e-6 of float64; one step moves a weight by about
    the learning rate, 1e-2 in these tests: 2,000 times the tolerance.
    """
    for ours, theirs in zip(variables, reference.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=atol)
    for kind in ("momentum", "velocity", "velocity_hat", "average", "accumulator"):
        for ours, theirs in zip(state(optimizer, kind), getattr(reference, kind), strict=False):
            scale = max(1e-3, np.abs(theirs).max(initial=0))
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=atol * scale, err_msg=kind)
    assert int(optimizer.iterations) == (
        reference.updates if reference.gradient_accumulation_steps else reference.calls
    )
