"""Weights and state against the float64 reference: every option, in every mode."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_adam
from tests.keras_adam.training import (
    BACKEND,
    MODES,
    ROUTES,
    assert_same_training,
    covering_rows,
    make_step,
    state,
    train_both,
)

# On TensorFlow, each of the first three takes another route, see `test_routes.py`.
SHAPES = [(3, 4), (2, 5, 4), (129, 128), (), (1, 7)]

OPTIONS = {
    "plain": {},
    "other_numbers": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    "no_memory": {"beta_1": 0.0, "beta_2": 0.0},
    "amsgrad": {"amsgrad": True},
    "weight_decay": {"weight_decay": 0.1},
    "clipnorm": {"clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.7},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema_overwrite": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    "loss_scale": {"loss_scale_factor": 1024.0},
    "accumulation": {"gradient_accumulation_steps": 3},
}
# Of each line one option can be set, together with one of every other line.
CHOICES = [
    ["plain", "other_numbers", "no_memory"],
    ["plain", "amsgrad"],
    ["plain", "weight_decay"],
    ["plain", "clipnorm", "clipvalue", "global_clipnorm"],
    ["plain", "ema", "ema_overwrite"],
    ["plain", "loss_scale"],
    ["plain", "accumulation"],
]


def options_of(names):
    return {"learning_rate": 0.01} | {k: v for name in names for k, v in OPTIONS[name].items()}


def tolerance(names, steps):
    # torch's kernel rounds the factor 1 - decay to float32, in the same way in each step. Weights
    # near 4 are wrong by up to 4 * steps * 3e-8.
    return 5e-6 + 7e-8 * steps * (BACKEND == "torch" and "weight_decay" in names)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_hundred_steps(option):
    """Only the fastest mode is used here; all modes are below."""
    trained = train_both(options_of([option]), SHAPES, MODES[len(MODES) // 2], steps=100)
    assert_same_training(*trained, tolerance([option], 100))


@pytest.mark.parametrize(
    ("names", "route"), [(row[:-1], row[-1]) for row in covering_rows([*CHOICES, ROUTES])], ids=str
)
def test_any_two_options_on_every_route(names, route):
    mode, jit_compile = route
    trained = train_both(options_of(names), SHAPES[:3], mode, steps=30, jit_compile=jit_compile)
    assert_same_training(*trained, tolerance(names, 30))


def test_every_kind_of_state_is_compared():
    """The comparison above skips missing state; here all state exists."""
    options = {"amsgrad": True, "use_ema": True, "gradient_accumulation_steps": 2}
    optimizer, _, _ = train_both(options, SHAPES, "eager", steps=0)
    for kind in ("momentum", "velocity", "velocity_hat", "average", "accumulator"):
        assert [s.shape for s in state(optimizer, kind)] == SHAPES


@pytest.mark.skipif(BACKEND == "jax", reason="JAX computes in float32 unless told otherwise")
def test_float64_variables_are_updated_in_float64():
    options = {"learning_rate": 0.01, "weight_decay": 0.1, "global_clipnorm": 1.0}
    optimizer, reference, variables = train_both(
        options, SHAPES, "eager", steps=30, dtype="float64"
    )
    # The learning rate is a float32 variable in Keras: float32(0.01) is 2e-8 off.
    assert_same_training(optimizer, reference, variables, atol=1e-7)


def test_adamw_is_adam_with_its_own_decay():
    initial = np.linspace(-2, 2, 6).reshape(2, 3)
    results = []
    for optimizer in (keras_adam.AdamW(0.01), keras_adam.Adam(0.01, weight_decay=0.004)):
        variable = keras.Variable(initial)
        step = make_step(optimizer, [variable])
        for _ in range(5):
            step([keras.ops.ones((2, 3))])
        results.append(variable.numpy())
    np.testing.assert_array_equal(*results)


@settings(max_examples=12, deadline=None)
@given(
    shapes=st.lists(st.lists(st.integers(0, 5), max_size=4).map(tuple), min_size=1, max_size=4),
    names=st.tuples(*map(st.sampled_from, CHOICES)),
    gradient_scale=st.sampled_from([1e-12, 1e-6, 1.0, 1e6]),
    route=st.sampled_from(ROUTES),
)
def test_any_shapes_and_options(shapes, names, gradient_scale, route):
    mode, jit_compile = route
    trained = train_both(
        options_of(names),
        shapes,
        mode,
        steps=7,
        gradient_scale=gradient_scale,
        jit_compile=jit_compile,
    )
    assert_same_training(*trained)
