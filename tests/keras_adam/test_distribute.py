"""Two replicas reach the same weights as one device on the same batches."""

import contextlib
import functools

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND, random_arrays, state
from tests.reference import ReferenceAdam

if BACKEND != "tensorflow":
    pytest.skip("tf.distribute is TensorFlow's", allow_module_level=True)

import tensorflow as tf

SHAPES = [(3, 4), (5,)]
OPTIONS = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.5, "weight_decay": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.5, "skip_nonfinite": True},
    "clipvalue": {"clipvalue": 0.3, "use_ema": True, "ema_overwrite_frequency": 2},
    "accumulation": {"gradient_accumulation_steps": 3},
    "accumulation_clipped": {"gradient_accumulation_steps": 2, "global_clipnorm": 0.5},
}


def make_batch(i, poisoned):
    """Return the gradients of both replicas."""
    parts = [[a.astype("float32") for a in random_arrays(SHAPES, 100 * i + r)] for r in range(2)]
    if poisoned:
        parts[1][0][0, 0] = np.nan  # one replica sees it, both must skip
    return parts


def make_step(strategy, optimizer, variables, traced):
    def step(gradients):
        strategy.run(lambda g: optimizer.apply(g, variables), args=(gradients,))

    step = tf.function(step) if traced else step

    def step_of_parts(parts):
        def part(context, j):
            return tf.constant(parts[context.replica_id_in_sync_group][j])

        distribute = strategy.experimental_distribute_values_from_function
        step([distribute(functools.partial(part, j=j)) for j in range(len(SHAPES))])

    return step_of_parts


# Each option in one of the two ways, and the accumulation in both: Keras's fails if it is traced.
@pytest.mark.parametrize(
    ("options", "traced"),
    [(options, i % 2 == 0) for i, options in enumerate(OPTIONS.values())],
    ids=OPTIONS,
)
def test_two_replicas_are_one_device(options, traced, two_replicas):
    """Keras's Adam clips each replica's part before the sum, and cannot accumulate here."""
    theirs = ReferenceAdam(learning_rate=0.01, **options)
    theirs.build([a.astype("float32") for a in random_arrays(SHAPES, 1)])
    with two_replicas.scope():
        variables = [keras.Variable(a.astype("float32")) for a in random_arrays(SHAPES, 1)]
        optimizer = keras_adam.Adam(0.01, **options)
        optimizer.build(variables)
    step = make_step(two_replicas, optimizer, variables, traced)
    for i in range(7):
        parts = make_batch(i, poisoned="skip_nonfinite" in options and i == 3)
        step(parts)
        theirs.apply([a + b for a, b in zip(*parts, strict=True)])
    for variable, expected in zip(variables, theirs.variables, strict=True):
        copies = two_replicas.experimental_local_results(variable.value)
        assert len(copies) == 2
        for replica_copy in copies:
            np.testing.assert_allclose(replica_copy.numpy(), expected, rtol=0, atol=5e-6)
    for kind in ("momentum", "velocity"):
        for value, expected in zip(state(optimizer, kind), getattr(theirs, kind), strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    assert int(optimizer._iterations.numpy()) == theirs.calls
    assert int(np.array(optimizer.skipped_steps)) == theirs.skipped


@pytest.mark.parametrize("where", ["in its scope", "outside"])
def test_outside_of_a_replica_all_copies_are_updated(where, two_replicas):
    with two_replicas.scope():
        variable = keras.Variable([1.0, 2.0])
        optimizer = keras_adam.Adam(0.1)
        optimizer.build([variable])
    with two_replicas.scope() if where == "in its scope" else contextlib.nullcontext():
        optimizer.apply([tf.ones(2)], [variable])
    for replica_copy in two_replicas.experimental_local_results(variable.value):
        np.testing.assert_allclose(replica_copy.numpy(), [0.9, 1.9], atol=1e-6)


@pytest.mark.parametrize("inside", ["scope", "run"])
def test_variables_that_the_strategy_did_not_make_are_refused(inside, two_replicas):
    variable = keras.Variable([1.0, 2.0], name="stranger")
    optimizer = keras_adam.Adam(0.1)
    optimizer.build([variable])

    def step():
        optimizer.apply([tf.ones(2)], [variable])

    expected = "'stranger' was not made under the MirroredStrategy of 2 replicas"
    with two_replicas.scope(), pytest.raises(ValueError, match=expected):
        step() if inside == "scope" else two_replicas.run(step)
    np.testing.assert_array_equal(variable.numpy(), [1.0, 2.0])
    assert int(optimizer.iterations) == 0


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2, "clipnorm": 0.1}])
def test_fit_on_two_replicas_is_fit_on_one_device(options, two_replicas):
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    y = np.random.default_rng(1).normal(size=(64, 2)).astype("float32")

    def fit():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(2)]
        model = keras.Sequential([keras.Input((6,)), *layers])
        model.compile(keras_adam.Adam(0.01, **options), "mse")
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        return [v.numpy() for v in model.trainable_variables]

    alone = fit()
    with two_replicas.scope():
        together = fit()
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_loss_scaling_on_two_replicas(two_replicas):
    with two_replicas.scope():
        variable = keras.Variable([1.0, 2.0])
        optimizer = keras.optimizers.LossScaleOptimizer(
            keras_adam.Adam(0.1), initial_scale=8.0, dynamic_growth_steps=100
        )
        optimizer.build([variable])

    @tf.function
    def step(gradient):
        two_replicas.run(lambda: optimizer.apply([gradient], [variable]))

    step(tf.ones(2))
    step(tf.constant([np.inf, 1.0]))
    for replica_copy in two_replicas.experimental_local_results(variable.value):
        np.testing.assert_allclose(replica_copy.numpy(), [0.9, 1.9], atol=1e-5)
