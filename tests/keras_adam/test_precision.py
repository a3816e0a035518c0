"""Variables of half precision: float32 inside, one rounding at the end."""

import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_adam
from tests.keras_adam.training import BACKEND, MODES, covering_rows, make_step, random_arrays, state
from tests.reference import ReferenceAdam

DTYPES = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}


def rounded(arrays, dtype):
    return [np.asarray(a).astype(DTYPES[dtype]).astype("float64") for a in arrays]


OPTIONS = [
    {},
    {"amsgrad": True},
    {"weight_decay": 0.1},
    {"use_ema": True},
    {"global_clipnorm": 1.0},
]


def share_of_equal_weights(options, shapes, dtype, mode, steps):
    """Compare each step with the float64 step, rounded once; return the share of equal weights."""
    initial = rounded(random_arrays(shapes, 1), dtype)
    theirs = ReferenceAdam(learning_rate=0.01, **options).build(initial)
    ours = [keras.Variable(a, dtype=dtype) for a in initial]
    optimizer = keras_adam.Adam(0.01, **options)
    step = make_step(optimizer, ours, mode)
    kinds = ["momentum", "velocity", "velocity_hat", "average"]
    equal = total = 0
    for i in range(steps):
        gradients = rounded(random_arrays(shapes, 100 + i), dtype)
        step([keras.ops.convert_to_tensor(g, dtype=dtype) for g in gradients])
        theirs.apply(gradients)
        theirs.variables = rounded(theirs.variables, dtype)
        for kind in kinds:
            setattr(theirs, kind, rounded(getattr(theirs, kind), dtype))
        for a, b in zip(ours, theirs.variables, strict=True):
            a = a.numpy().astype("float64")
            equal, total = equal + (a == b).sum(), total + a.size
            # If float32 and float64 lie on two sides of a rounding boundary, a value differs by one
            # unit in the last place. Both start again from the same state.
            np.testing.assert_allclose(a, b, rtol=2 * float(ml_dtypes.finfo(DTYPES[dtype]).eps))
        theirs.variables = [v.numpy().astype("float64") for v in ours]
        for kind in kinds:
            if state(optimizer, kind):
                setattr(theirs, kind, [s.astype("float64") for s in state(optimizer, kind)])
    return equal / max(total, 1)


@pytest.mark.parametrize(
    ("options", "dtype", "mode"), covering_rows([OPTIONS, list(DTYPES), MODES]), ids=str
)
def test_each_step_is_the_float64_step_rounded_once(options, dtype, mode):
    assert share_of_equal_weights(options, [(3, 4), (5,)], dtype, mode, steps=30) > 0.99


@settings(max_examples=10, deadline=None)
@given(
    shapes=st.lists(st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=3),
    options=st.sampled_from(OPTIONS),
    dtype=st.sampled_from(sorted(DTYPES)),
    mode=st.sampled_from(MODES),
)
def test_any_shapes_in_half_precision(shapes, options, dtype, mode):
    share_of_equal_weights(options, shapes, dtype, mode, steps=4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_precision_variables_move(dtype):
    """In bfloat16, beta_2 = 0.999 rounds to 1, and Keras's step size to 0."""
    variable = keras.Variable(np.ones(4), dtype=dtype)
    step = make_step(keras_adam.Adam(0.1), [variable])
    for _ in range(3):
        step([keras.ops.ones((4,), dtype=dtype)])
    np.testing.assert_allclose(variable.numpy().astype("float32"), 0.7, atol=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_several_dtypes_in_one_model(mode):
    dtypes = ["float32", "bfloat16", "float16"] + ["float64"] * (BACKEND == "tensorflow")
    initial = np.linspace(-1, 1, 8)
    ours = [keras.Variable(initial, dtype=dtype) for dtype in dtypes]
    theirs = ReferenceAdam(learning_rate=0.01, global_clipnorm=0.5).build(
        [v.numpy().astype("float64") for v in ours]
    )
    optimizer = keras_adam.Adam(0.01, global_clipnorm=0.5)
    step = make_step(optimizer, ours, mode)
    step([keras.ops.ones((8,), dtype=dtype) for dtype in dtypes])
    theirs.apply([np.ones(8)] * len(dtypes))
    for variable, expected in zip(ours, theirs.variables, strict=True):
        eps = {"bfloat16": 2**-8, "float16": 2**-11}.get(variable.dtype, 1e-6)
        np.testing.assert_allclose(variable.numpy().astype("float64"), expected, rtol=0, atol=eps)


@pytest.mark.parametrize(
    ("policy", "jit_compile"),
    [("mixed_float16", True), ("mixed_float16", False), ("bfloat16", BACKEND == "jax")],
)
def test_fit_under_a_precision_policy(policy, jit_compile):
    if BACKEND == "torch" and jit_compile:
        pytest.skip("to trace takes a minute there; test_torch.py does it once")
    if BACKEND == "jax" and not jit_compile:
        pytest.skip("takes long there; test_fit.py does it once")
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        layers = [keras.layers.Dense(16, "relu"), keras.layers.Dense(1, dtype="float32")]
        model = keras.Sequential([keras.Input((8,)), *layers])
        optimizer = keras_adam.Adam(0.05)
        model.compile(optimizer, "mse", jit_compile=jit_compile)
        history = model.fit(x, y, batch_size=32, epochs=20, verbose=0).history["loss"]
    finally:
        keras.config.set_dtype_policy("float32")
    assert history[-1] < history[0] / 4
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    assert int(optimizer.iterations) > 30
