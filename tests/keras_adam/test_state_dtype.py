"""Momentum and velocity in bfloat16 and in blocks of eight bits.

Each step is compared with the float64 reference, which starts from the stored state. The stored
momentum and velocity lie between the two neighbours of the exact values.
"""

import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_adam
from tests.keras_adam.training import (
    BACKEND,
    MODES,
    make_step,
    pairs_in_some_mode,
    random_arrays,
)
from tests.reference import ReferenceAdam

BLOCK = 256
STATE_DTYPES = ["bfloat16", "int8"]
OPTIONS = [
    {},
    {"amsgrad": True, "weight_decay": 0.1, "clipnorm": 0.5},
    {"use_ema": True, "ema_overwrite_frequency": 2, "skip_nonfinite": True},
    {"gradient_accumulation_steps": 2, "loss_scale_factor": 8.0, "global_clipnorm": 1.0},
]
SHAPES = [(3, 4), (), (0, 3), (64, 65), (4099,)]


def kind_of(optimizer, kind):
    """Return the variables of one kind, and their scales or `None`."""
    by_name = {v.path: v for v in optimizer.variables}
    found = [v for v in optimizer.variables if v.name.endswith(f"_{kind}")]
    return [(v, by_name.get(f"{v.path}_scale")) for v in found]


def blocks_of(array):
    flat = np.ravel(array)
    return np.pad(flat, (0, -flat.size % BLOCK)).reshape(-1, BLOCK)


def decode(codes, scale, shift=0):
    """Decode in float64, independently of keras_adam; `shift` is added to the codes."""
    numbers = codes.astype("float64")
    if codes.dtype == np.int8:
        sizes = np.clip(np.abs(numbers) + shift, 0, 127)
        shares = np.where(numbers < 0, -1, 1) * (sizes / 127) ** 2
    else:
        shares = (np.clip(numbers + shift, 0, 255) / 255) ** 4
    values = blocks_of(shares) * scale.astype("float64")[:, None]
    return np.ravel(values)[: codes.size].reshape(codes.shape)


def values_of(optimizer, kind):
    return [
        v.numpy().astype("float64") if scale is None else decode(v.numpy(), scale.numpy())
        for v, scale in kind_of(optimizer, kind)
    ]


def assert_neighbours(variable, scale, exact):
    """Check that a stored value is one of the two next to the exact value."""
    stored, slack = (
        variable.numpy(),
        3e-5 * np.abs(exact).max(initial=0),
    )  # 1 - 0.999 in float32 is 1.3e-5 off
    if scale is not None:
        scale = scale.numpy()
        assert np.all(np.abs(exact) <= blocks_of_scale(scale, stored) * (1 + 1e-5) + 1e-30)
        if stored.dtype == np.int8:
            # Zero has neighbours on both sides.
            low = decode(np.abs(stored), scale, -1)
            high = decode(np.abs(stored), scale, 1)
            exact = np.abs(exact)
        else:
            low, high = decode(stored, scale, -1), decode(stored, scale, 1)
            assert np.all((stored > 0) | (exact <= 1e-30)), "a velocity became zero"
        assert np.all(low - slack <= exact)
        assert np.all(exact <= high + slack)
    elif stored.dtype == ml_dtypes.bfloat16:
        spacing = np.abs(exact) * 2.0**-7 + 1e-30
        assert np.all(np.abs(stored.astype("float64") - exact) <= spacing + slack)
    else:
        np.testing.assert_allclose(stored, exact, rtol=0, atol=slack + 1e-12)


def blocks_of_scale(scale, codes):
    return np.repeat(scale, BLOCK)[: codes.size].reshape(codes.shape)


def check_steps(options, state_dtype, mode, shapes, steps, dtype="float32"):
    options = {"learning_rate": 0.01, **options}
    initial = [np.asarray(a, dtype) for a in random_arrays(shapes, 1)]
    theirs = ReferenceAdam(**options).build(initial)
    variables = [keras.Variable(a, dtype=dtype) for a in initial]
    optimizer = keras_adam.Adam(**options, state_dtype=state_dtype)
    step = make_step(optimizer, variables, mode)
    kinds = ["momentum", "velocity"] + ["velocity_hat"] * ("amsgrad" in options)
    for i in range(steps):
        gradients = [np.asarray(a, dtype) for a in random_arrays(shapes, 100 + i)]
        step([keras.ops.convert_to_tensor(g) for g in gradients])
        theirs.apply(gradients)
        moved = len(shapes) and theirs.calls % options.get("gradient_accumulation_steps", 1) == 0
        for kind in kinds:
            for (variable, scale), exact in zip(
                kind_of(optimizer, kind), getattr(theirs, kind), strict=True
            ):
                if moved:
                    assert_neighbours(variable, scale, exact)
        for ours, exact in zip(variables, theirs.variables, strict=True):
            # With bfloat16 state, the stored values move the variable. Momentum and the root of the
            # velocity are exact to 2**-7 and 2**-8, for a step of at most about 3 * 0.01.
            atol = 4e-4 if state_dtype == "bfloat16" else 5e-6
            np.testing.assert_allclose(ours.numpy(), exact, rtol=0, atol=atol)
        theirs.variables = [v.numpy().astype("float64") for v in variables]
        for kind in kinds:
            setattr(theirs, kind, values_of(optimizer, kind))
        for kind, ending in {"average": "average", "accumulator": "gradient_accumulator"}.items():
            if values_of(optimizer, ending):
                setattr(theirs, kind, values_of(optimizer, ending))
    return optimizer


# `test_any_shapes` draws other combinations.
@pytest.mark.parametrize(
    ("options", "state_dtype", "mode"), pairs_in_some_mode(OPTIONS, STATE_DTYPES), ids=str
)
def test_each_step_is_the_float64_step_stored(options, state_dtype, mode):
    check_steps(options, state_dtype, mode, SHAPES, steps=6)


@settings(max_examples=6, deadline=None)
@given(
    shapes=st.lists(
        st.one_of(
            st.lists(st.integers(0, 4), max_size=3).map(tuple),
            st.integers(4000, 5000).map(lambda n: (n,)),
            st.integers(60, 70).map(lambda n: (n, n + 1)),
        ),
        min_size=1,
        max_size=3,
    ),
    options=st.sampled_from(OPTIONS),
    state_dtype=st.sampled_from([*STATE_DTYPES, "float32"]),
    dtype=st.sampled_from(["float32", "float64"] if BACKEND == "tensorflow" else ["float32"]),
    mode=st.sampled_from(MODES),
)
def test_any_shapes(shapes, options, state_dtype, dtype, mode):
    check_steps(options, state_dtype, mode, shapes, steps=3, dtype=dtype)


@pytest.mark.parametrize(
    ("state_dtype", "bytes_each"), [(None, 8), ("float32", 8), ("bfloat16", 4), ("int8", 2.04)]
)
def test_bytes_of_the_state(state_dtype, bytes_each):
    optimizer = keras_adam.Adam(state_dtype=state_dtype)
    optimizer.build([keras.Variable(np.zeros((1024, 1024)), dtype="float32")])
    total = sum(v.numpy().nbytes for v in optimizer.variables if v.shape)
    assert total / 1024**2 == pytest.approx(bytes_each, abs=0.01)


def test_small_variables_are_not_quantized():
    optimizer = keras_adam.Adam(state_dtype="int8")
    optimizer.build([keras.Variable(np.zeros(n), dtype="bfloat16") for n in (4095, 4096)])
    dtypes = [v.dtype for v in optimizer.variables if v.name.endswith("_momentum")]
    assert dtypes == ["float32", "int8"]


@pytest.mark.parametrize("state_dtype", STATE_DTYPES)
def test_small_changes_count_on_average(state_dtype):
    """A velocity changes by a thousandth at a step; rounding to the nearest would lose this."""
    variable = keras.Variable(np.zeros((64, 64)), dtype="float32")
    optimizer = keras_adam.Adam(0.0, state_dtype=state_dtype)
    step = make_step(optimizer, [variable], MODES[-1])
    gradient = np.full((64, 64), 2.0, "float32") * (1 + np.arange(64, dtype="float32") / 64)
    tensor = [keras.ops.convert_to_tensor(gradient)]
    for _ in range(1500):
        step(tensor)
    exact = gradient.astype("float64") ** 2 * (1 - 0.999**1500)
    ratios = values_of(optimizer, "velocity")[0] / exact
    # One number scatters by about 5 to 10 %, the mean of 4,096 by a sixty-fourth of this.
    assert ratios.mean() == pytest.approx(1, abs=0.02)
    assert np.abs(ratios - 1).max() < 0.6


def test_the_same_on_every_run_and_in_every_mode():
    found = []
    for mode in [*MODES, MODES[0]]:
        variables = [keras.Variable(a, dtype="float32") for a in random_arrays([(70, 70)], 1)]
        optimizer = keras_adam.Adam(0.01, state_dtype="int8")
        step = make_step(optimizer, variables, mode)
        for i in range(5):
            gradients = [a.astype("float32") for a in random_arrays([(70, 70)], 100 + i)]
            step([keras.ops.convert_to_tensor(g) for g in gradients])
        found.append(optimizer.variables[2].numpy())
    np.testing.assert_array_equal(found[0], found[-1])
    # Programs may round the last bit of float32 differently, so a code may differ sometimes.
    assert all(np.mean(found[0] != other) < 0.001 for other in found)


@pytest.mark.parametrize("state_dtype", STATE_DTYPES)
def test_what_is_not_finite_spoils_nothing_beside_it(state_dtype):
    """1e30 is finite, but its square is not. Each is in a block of its own."""
    poison = {7: np.nan, 1000: np.inf, 3000: 1e30}
    variable = keras.Variable(np.zeros(5000), dtype="float32")
    optimizer = keras_adam.Adam(0.01, state_dtype=state_dtype)
    step = make_step(optimizer, [variable], "eager")

    for i in range(30):
        gradient = random_arrays([(5000,)], i)[0].astype("float32")
        if i == 5:
            gradient[list(poison)] = list(poison.values())
        step([keras.ops.convert_to_tensor(gradient)])
    poisoned = list(poison)
    others = np.delete(np.arange(5000), poisoned)
    for kind in ("momentum", "velocity"):
        values = values_of(optimizer, kind)[0]
        assert np.isfinite(values[others]).all()
        assert np.abs(values[others]).max() < 10
        if state_dtype == "int8":
            assert np.isfinite(values[poisoned]).all()
            assert np.abs(values[poisoned]).max() < 10
    weights = variable.numpy()
    assert np.isfinite(weights[others]).all()
    assert np.abs(weights[others]).max() < 1
    assert (np.isnan(weights[poisoned]) | (np.abs(weights[poisoned]) < 1)).all()


def test_a_noisy_quadratic_ends_where_float32_ends():
    """800 steps on 0.5 * sum(h * x**2) with noise in the gradients, curvatures over 2 decades."""
    generator = np.random.default_rng(0)
    curvature = (10 ** generator.uniform(-2, 0, 4096)).astype("float32")

    def end_error(dtype):
        noise = np.random.default_rng(1)
        variable = keras.Variable(np.ones(4096), dtype="float32")
        optimizer = keras_adam.Adam(0.01, state_dtype=dtype)
        step = make_step(optimizer, [variable], MODES[-1])
        errors = []
        for _ in range(800):
            x = variable.numpy()
            errors.append(0.5 * np.sum(curvature * x.astype("float64") ** 2))
            gradient = curvature * x + 0.3 * noise.standard_normal(4096, np.float32)
            step([keras.ops.convert_to_tensor(gradient)])
        return np.mean(errors[-200:])

    exact = end_error("float32")
    for state_dtype in STATE_DTYPES:
        assert end_error(state_dtype) / exact == pytest.approx(1, abs=0.15), state_dtype


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"state_dtype": "int4"}, "`state_dtype` must be None, 'float32', 'bfloat16' or 'int8'"),
        ({"state_dtype": 8}, "received 8"),
        ({"master_weights": "yes"}, "`master_weights` must be False, True or 'stochastic'"),
        ({"state_dtype": "int8", "lazy": True}, "rows share the scale of a block"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_adam.Adam(**arguments)


def test_lazy_cannot_be_switched_on_later():
    optimizer = keras_adam.Adam(state_dtype="int8")
    with pytest.raises(ValueError, match="rows share the scale"):
        optimizer.lazy = True


@pytest.mark.parametrize("arguments", [{"state_dtype": "bfloat16"}, {"master_weights": True}])
def test_a_hook_of_keras_is_refused(arguments):
    class Own(keras_adam.Adam):
        def update_step(self, gradient, variable, learning_rate):
            pass

    with pytest.raises(ValueError, match="which does not call `update_step`"):
        Own(**arguments)
