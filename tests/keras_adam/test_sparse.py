"""Sparse gradients: repeated rows are summed; `lazy` touches only the rows that are named."""

import functools
import operator

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_adam
from tests.keras_adam.training import BACKEND, MODES, ROUTES, covering_rows, make_step, state
from tests.reference import ReferenceAdam

ROWS, WIDTH = 6, 3
CHOICES = [
    [{}, {"amsgrad": True}],
    [{}, {"weight_decay": 0.1}],
    [{}, {"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipvalue": 0.3}],
    [{}, {"loss_scale_factor": 8.0}],
]


def sparse_gradient(indices, values):
    values = keras.ops.convert_to_tensor(values)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.IndexedSlices(
            values, tf.constant(indices), tf.constant([ROWS, *values.shape[1:]])
        )
    if BACKEND == "torch":
        import torch

        shape = (ROWS, *values.shape[1:])
        return torch.sparse_coo_tensor(
            torch.tensor([indices], dtype=torch.int64), values, shape, check_invariants=False
        )
    from jax.experimental import sparse

    return sparse.BCOO((values, np.array(indices)[:, None]), shape=(ROWS, *values.shape[1:]))


def dense(indices, values):
    gradient = np.zeros((ROWS, *values.shape[1:]), values.dtype)
    np.add.at(gradient, indices, values)
    return gradient


def batches(count, size=5, seed=0):
    generator = np.random.default_rng(seed)
    for _ in range(count):
        indices = generator.integers(0, ROWS, size).tolist()  # more draws than rows: repeats
        yield indices, generator.normal(size=(size, WIDTH)).astype("float32")


@pytest.mark.parametrize("options", [{"use_ema": True}, {"gradient_accumulation_steps": 2}])
def test_sparse_is_dense_with_options_that_touch_all_rows(options):
    initial = np.random.default_rng(9).normal(size=(ROWS, WIDTH)).astype("float32")
    theirs = ReferenceAdam(learning_rate=0.01, **options).build([initial])
    variable = keras.Variable(initial)
    step = make_step(keras_adam.Adam(0.01, **options), [variable])
    for indices, values in batches(10):
        step([sparse_gradient(indices, values)])
        theirs.apply([dense(indices, values)])
    np.testing.assert_allclose(variable.numpy(), theirs.variables[0], rtol=0, atol=2e-6)


class LazyReference:
    """Adam on the named rows, each as a separate variable with the common step count."""

    def __init__(self, initial, **options):
        self.full = ReferenceAdam(**options).build([initial])

    def apply(self, indices, values):
        full, rows = self.full, sorted(set(indices))
        part = ReferenceAdam(
            **{
                k: getattr(full, k)
                for k in (
                    "learning_rate",
                    "amsgrad",
                    "weight_decay",
                    "clipnorm",
                    "global_clipnorm",
                    "clipvalue",
                    "loss_scale_factor",
                )
            }
        )
        part.build([full.variables[0][rows]])
        part.calls = part.updates = full.updates
        for name in ("momentum", "velocity", "velocity_hat"):
            getattr(part, name)[0] = getattr(full, name)[0][rows]
        part.apply([dense(indices, values)[rows]])
        for name in ("variables", "momentum", "velocity", "velocity_hat"):
            getattr(full, name)[0][rows] = getattr(part, name)[0]
        full.updates += 1


@pytest.mark.parametrize(
    ("options", "lazy", "route"),
    [
        (functools.reduce(operator.or_, options), lazy, route)
        for *options, lazy, route in covering_rows([*CHOICES, [False, True], ROUTES])
    ],
    ids=str,
)
def test_sparse_is_dense_and_lazy_moves_only_the_rows_present(options, lazy, route):
    mode, jit_compile = route
    initial = np.random.default_rng(9).normal(size=(ROWS, WIDTH)).astype("float32")
    theirs = LazyReference(initial, learning_rate=0.01, **options)
    full = theirs.full
    variable = keras.Variable(initial)
    optimizer = keras_adam.Adam(0.01, lazy=lazy, jit_compile=jit_compile, **options)
    step = make_step(optimizer, [variable], mode)
    for indices, values in batches(10):
        before = variable.numpy()
        step([sparse_gradient(indices, values)])
        if lazy:
            theirs.apply(indices, values)
            absent = sorted(set(range(ROWS)) - set(indices))
            np.testing.assert_array_equal(variable.numpy()[absent], before[absent])
        else:
            full.apply([dense(indices, values)])
    np.testing.assert_allclose(variable.numpy(), full.variables[0], rtol=0, atol=2e-6)
    for kind in ("momentum", "velocity"):
        np.testing.assert_allclose(
            state(optimizer, kind)[0], getattr(full, kind)[0], rtol=1e-5, atol=1e-6
        )


def test_lazy_is_dense_for_dense_gradients():
    variables = [keras.Variable(np.ones((4, 2), "float32")) for _ in range(2)]
    for variable, lazy in zip(variables, (False, True), strict=True):
        step = make_step(keras_adam.Adam(0.1, lazy=lazy), [variable])
        for i in range(4):
            step([keras.ops.ones((4, 2)) * i])
    np.testing.assert_array_equal(variables[0].numpy(), variables[1].numpy())


@pytest.mark.parametrize("lazy", [False, True])
def test_a_row_named_twice_gets_the_step_of_its_sum(lazy):
    """Keras's Adam on TensorFlow moves the row by 0.141, as it squares each mention separately."""
    variable = keras.Variable(np.zeros((ROWS, 1), "float32"))
    step = make_step(keras_adam.Adam(0.1, beta_1=0.0, lazy=lazy), [variable])
    step([sparse_gradient([2, 2], np.ones((2, 1), "float32"))])
    expected = np.zeros((ROWS, 1))
    expected[2] = -0.1
    np.testing.assert_allclose(variable.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("dtype", "lazy"), [("bfloat16", True), ("float16", False)])
def test_mentions_of_one_row_are_summed_in_float32(dtype, lazy):
    """In bfloat16 a sum of ones ends at 256, and in float16 one of hundreds at infinity."""
    variable = keras.Variable(np.zeros((ROWS, 1), "float32"))
    options = {"beta_1": 0.0, "beta_2": 0.0, "epsilon": 1e6}
    values = keras.ops.cast(np.full((1000, 1), 100.0), dtype)
    step = make_step(keras_adam.Adam(1.0, lazy=lazy, **options), [variable])
    step([sparse_gradient([2] * 1000, values)])
    np.testing.assert_allclose(variable.numpy()[2], [-1e5 / (1e5 + 1e6)], rtol=1e-5)


@pytest.mark.parametrize("lazy", [False, True])
def test_no_rows_at_all(lazy):
    variable = keras.Variable(np.ones((ROWS, WIDTH), "float32"))
    optimizer = keras_adam.Adam(0.1, lazy=lazy, clipnorm=1.0)
    step = make_step(optimizer, [variable])
    step([sparse_gradient(np.zeros(0, "int32"), np.ones((0, WIDTH), "float32"))])
    np.testing.assert_array_equal(variable.numpy(), np.ones((ROWS, WIDTH)))
    assert int(optimizer.iterations) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_row_outside_of_the_table_is_left_out(lazy, mode):
    """Keras's Adam may fail on TensorFlow; on JAX -1 is the last row, and -7 is no row."""
    initial = np.random.default_rng(9).normal(size=(ROWS, WIDTH)).astype("float32")
    options = {"learning_rate": 0.1, "clipnorm": 0.1}
    theirs = LazyReference(initial, **options)
    variable = keras.Variable(initial)
    step = make_step(keras_adam.Adam(**options, lazy=lazy), [variable], mode)
    outside = [-1, -ROWS, -ROWS - 1, ROWS, 100]
    for indices in ([2, *outside], [2, ROWS - 1, 2, -1, 2, ROWS], [*outside, ROWS]):
        values = np.arange(6, dtype="float32")[:, None] + np.ones(WIDTH, "float32")
        step([sparse_gradient(indices, values)])
        inside = [i for i, index in enumerate(indices) if 0 <= index < ROWS]
        named = [indices[i] for i in inside]
        if not lazy:
            theirs.full.apply([dense(named, values[inside])])
        elif inside:
            theirs.apply(named, values[inside])
    np.testing.assert_allclose(variable.numpy(), theirs.full.variables[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_sparse_gradient_that_is_not_finite_is_skipped(lazy):
    variable = keras.Variable(np.ones((ROWS, WIDTH), "float32"))
    optimizer = keras_adam.Adam(0.1, skip_nonfinite=True, lazy=lazy)
    step = make_step(optimizer, [variable])
    step([sparse_gradient([1, 3], np.full((2, WIDTH), np.nan, "float32"))])
    np.testing.assert_array_equal(variable.numpy(), np.ones((ROWS, WIDTH)))
    assert int(optimizer.skipped_steps) == 1


@pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras's embedding has dense gradients on JAX")
@pytest.mark.parametrize(("lazy", "jit_compile"), [(True, True), (False, False)])
def test_a_model_with_an_embedding_trains(lazy, jit_compile):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).integers(0, 20, (64, 5))
    y = (x.sum(axis=1, keepdims=True) % 7).astype("float32")
    layers = [keras.layers.Embedding(20, 8), keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras_adam.Adam(0.05, lazy=lazy), "mse", jit_compile=jit_compile)
    history = model.fit(x, y, batch_size=32, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0] / 3


@settings(max_examples=10, deadline=None)
@given(
    indices=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=12),
    width=st.integers(0, 3),
    lazy=st.booleans(),
)
def test_any_rows(indices, width, lazy):
    values = np.random.default_rng(3).normal(size=(len(indices), width)).astype("float32")
    theirs = ReferenceAdam(learning_rate=0.01).build([np.ones((ROWS, width))])
    variable = keras.Variable(np.ones((ROWS, width), "float32"))
    # With zero state an absent row does not move, so lazy and dense agree on the first step.
    make_step(keras_adam.Adam(0.01, lazy=lazy), [variable])([sparse_gradient(indices, values)])
    theirs.apply([dense(indices, values)])
    np.testing.assert_allclose(variable.numpy(), theirs.variables[0], rtol=0, atol=1e-6)


@pytest.mark.skipif(BACKEND != "jax", reason="a form of JAX's")
def test_a_gradient_of_single_elements():
    from jax.experimental import sparse

    variable = keras.Variable(np.ones((4, 3), "float32"))
    diagonal = np.arange(3)
    gradient = sparse.BCOO((keras.ops.ones(3), np.stack([diagonal] * 2, axis=1)), shape=(4, 3))
    keras_adam.Adam(0.1).apply([gradient], [variable])
    expected = np.ones((4, 3)) - 0.1 * np.eye(4, 3)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variable.value), expected, atol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="other backends have int32 and int64 alone")
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint32"])
def test_numbers_of_rows_in_any_integer_dtype(dtype, lazy):
    from jax.experimental import sparse

    variable = keras.Variable(np.ones((200, 1), "float32"))
    indices = np.array([[5], [120], [-1]], "int32").astype(dtype)  # 255 and more is no row either
    gradient = sparse.BCOO((keras.ops.ones((3, 1)), indices), shape=variable.shape)
    keras_adam.Adam(0.1, lazy=lazy).apply([gradient], [variable])
    moved = np.flatnonzero(np.asarray(variable) != 1)
    np.testing.assert_array_equal(moved, [5, 120])
