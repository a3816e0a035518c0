"""Random games: after each step, weights and state are those of the reference.

A game draws options, variables and a way to run. At each step it draws the missing gradients, the
sparse ones with their numbers of rows, new values of numbers, and sometimes a restart from a file.
"""

import warnings

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND, assert_same_training
from tests.reference import ReferenceAdam

STEPS = 25
SWITCHES = {
    "amsgrad": [False, True],
    "weight_decay": [None, 0.1],
    "use_ema": [False, True],
    "gradient_accumulation_steps": [None, 3],
    "loss_scale_factor": [None, 8.0],
    "skip_nonfinite": [False, True],
}
CLIPS = [{}, {"clipnorm": 0.5}, {"clipvalue": 0.3}, {"global_clipnorm": 0.5}]
MOVING = {"beta_1": (0.5, 0.95), "beta_2": (0.9, 0.999), "epsilon": (1e-7, 1e-3)}


def draw_options(generator):
    options = {name: generator.choice(values) for name, values in SWITCHES.items()}
    options = {k: None if v is None else type(v)(v) for k, v in options.items()}
    options = {k: v.item() if hasattr(v, "item") else v for k, v in options.items()}
    return {**options, **CLIPS[generator.integers(len(CLIPS))], "learning_rate": 0.01}


def draw_gradient(generator, shape, dtype):
    """Return a gradient, dense or of some rows, and the same gradient as a float64 array."""
    if generator.random() < 0.4:
        rows = generator.integers(0, shape[0], generator.integers(0, 9))
        values = keras.ops.cast(generator.normal(size=(len(rows), *shape[1:])), dtype)
        exact = np.zeros(shape)
        np.add.at(exact, rows, keras.ops.convert_to_numpy(keras.ops.cast(values, "float32")))
        return make_sparse(rows, values, shape), exact
    value = keras.ops.cast(generator.normal(size=shape), dtype)
    return value, keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")).astype("float64")


def poisoned(shape, dtype):
    value = np.full(shape, np.nan)
    return keras.ops.cast(value, dtype), value


def make_sparse(rows, values, shape):
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.IndexedSlices(values, tf.constant(rows), tf.constant(shape))
    if BACKEND == "torch":
        import torch

        rows = torch.tensor(rows[None], dtype=torch.int64)
        return torch.sparse_coo_tensor(rows, values, shape, check_invariants=True)
    from jax.experimental import sparse

    return sparse.BCOO((values, keras.ops.convert_to_tensor(rows[:, None])), shape=tuple(shape))


def restart(optimizer, variables, options):
    """Return another optimizer with the state that a file would contain."""
    store = {}
    optimizer.save_own_variables(store)
    again = keras_adam.Adam(**options, jit_compile=optimizer.jit_compile)
    again.load_own_variables(store)
    again.build(variables)
    return again


@pytest.mark.parametrize("game", range(12))
def test_random_play(game):
    generator = np.random.default_rng(game)
    options = draw_options(generator)
    # On TensorFlow, these take all routes.
    count = generator.integers(2, 7)
    widths = generator.choice([3, 20, 6000], count)
    shapes = [
        (int(n), int(w)) for n, w in zip(generator.integers(1, 6, count), widths, strict=True)
    ]
    dtype = str(generator.choice(["float32", "bfloat16"]))
    initial = [generator.normal(size=shape).astype("float32") for shape in shapes]
    variables = [keras.Variable(value) for value in initial]
    reference = ReferenceAdam(**options).build(initial)
    optimizer = keras_adam.Adam(**options, jit_compile=bool(game % 4))
    if game % 3 == 0 and BACKEND == "tensorflow":
        # The game has one trace, so only rows and values may vary in it.
        play_in_a_graph(generator, optimizer, reference, variables, shapes, dtype)
        return
    optimizer.build(variables)
    for step in range(STEPS):
        # Both kinds of patterns come: random ones, and several complete ones in a row.
        present = generator.random(len(shapes)) > (0.4 if step % 5 else 0.0)
        present[generator.integers(len(shapes))] = True
        drawn = [draw_gradient(generator, shape, dtype) for shape in shapes]
        for name, (low, high) in MOVING.items():
            if generator.random() < 0.3:
                value = float(generator.uniform(low, high))
                setattr(optimizer, name, value)
                setattr(reference, name, value)
        if options["skip_nonfinite"] and generator.random() < 0.2:
            drawn[int(np.argmax(present))] = poisoned(shapes[int(np.argmax(present))], dtype)
        if options["weight_decay"]:
            optimizer.weight_decay = reference.weight_decay = float(generator.uniform(0, 0.2))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Gradients do not exist")
            optimizer.apply(
                [g if there else None for (g, _), there in zip(drawn, present, strict=True)],
                variables,
            )
        reference.apply(
            [g if there else None for (_, g), there in zip(drawn, present, strict=True)]
        )
        if generator.random() < 0.1:
            numbers = {name: getattr(optimizer, name) for name in (*MOVING, "weight_decay")}
            optimizer = restart(optimizer, variables, {**options, **numbers})
        if not options["gradient_accumulation_steps"]:
            assert_same_training(optimizer, reference, variables)
    for ours, theirs in zip(variables, reference.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=5e-6)


def play_in_a_graph(generator, optimizer, reference, variables, shapes, dtype):
    import tensorflow as tf

    optimizer.build(variables)
    table, rest = shapes[0], shapes[1:]

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None, *table[1:]], dtype),
            [tf.TensorSpec(shape) for shape in rest],
        ],
    )
    def step(rows, values, gradients):
        optimizer.apply([tf.IndexedSlices(values, rows, tf.constant(table)), *gradients], variables)

    for _ in range(STEPS):
        rows = generator.integers(0, table[0], generator.integers(0, 40))
        values = tf.cast(generator.normal(size=(len(rows), *table[1:])), dtype)
        exact = np.zeros(table)
        np.add.at(exact, rows, tf.cast(values, tf.float64).numpy())
        gradients = [generator.normal(size=shape).astype("float32") for shape in rest]
        step(tf.constant(rows), values, [tf.constant(g) for g in gradients])
        reference.apply([exact, *gradients])
    assert_same_training(optimizer, reference, variables)
