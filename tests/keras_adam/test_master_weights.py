"""Variables of half precision whose small steps add up: in a float32 copy, or on average."""

import keras
import ml_dtypes
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import (
    BACKEND,
    MODES,
    make_step,
    pairs_in_some_mode,
    random_arrays,
)
from tests.reference import ReferenceAdam

DTYPES = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
SHAPES = [(3, 4), (5,), (64, 65)]
OPTIONS = [
    {},
    {"amsgrad": True, "weight_decay": 0.1},
    {"use_ema": True, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 2, "global_clipnorm": 1.0},
    {"skip_nonfinite": True},
]


def masters(optimizer):
    return [v for v in optimizer.variables if v.name.endswith("_master")]


@pytest.mark.parametrize(("options", "dtype", "mode"), pairs_in_some_mode(OPTIONS, DTYPES), ids=str)
def test_master_weights_train_as_float64_variables_do(options, dtype, mode):
    initial = [a.astype(DTYPES[dtype]) for a in random_arrays(SHAPES, 1)]
    variables = [keras.Variable(a, dtype=dtype) for a in initial]
    reference = ReferenceAdam(learning_rate=1e-4, **options).build(initial)
    optimizer = keras_adam.Adam(1e-4, state_dtype="float32", master_weights=True, **options)
    step = make_step(optimizer, variables, mode)
    for i in range(12):
        gradients = [a.astype(DTYPES[dtype]) for a in random_arrays(SHAPES, 100 + i)]
        step([keras.ops.convert_to_tensor(g) for g in gradients])
        reference.apply(gradients)
    for master, exact, variable in zip(
        masters(optimizer), reference.variables, variables, strict=True
    ):
        assert master.dtype == "float32"
        # A step is 1e-4. Each of twelve steps rounds weights of up to 4 once or twice, by at most
        # 1.2e-7 each time.
        np.testing.assert_allclose(master.numpy(), exact, rtol=0, atol=4e-6)
        np.testing.assert_array_equal(variable.numpy(), master.numpy().astype(DTYPES[dtype]))
    for variable in optimizer.variables:
        if variable.name.endswith(("_average", "_gradient_accumulator")):
            assert variable.dtype == "float32"


@pytest.mark.parametrize(
    ("master_weights", "moves"), [(False, False), (True, True), ("stochastic", True)]
)
def test_steps_below_the_spacing_add_up(master_weights, moves):
    """Near 1, bfloat16 has a spacing of 2**-7. A step is 1e-4, and a hundred steps are 1e-2."""
    variable = keras.Variable(np.full(4000, 1.5), dtype="bfloat16")
    optimizer = keras_adam.Adam(1e-4, master_weights=master_weights, state_dtype="float32")
    step = make_step(optimizer, [variable])
    generator = np.random.default_rng(0)
    for _ in range(100):
        gradient = 1 + 0.01 * generator.standard_normal(4000)
        step([keras.ops.convert_to_tensor(gradient, "bfloat16")])
    mean = variable.numpy().astype("float64").mean()
    assert mean == pytest.approx(1.49 if moves else 1.5, abs=5e-3 if moves else 0)


def test_random_rounding_of_weights_is_right_on_average():
    variable = keras.Variable(np.full(20000, 1.5), dtype="bfloat16")
    optimizer = keras_adam.Adam(1e-4, master_weights="stochastic", state_dtype="float32")
    step = make_step(optimizer, [variable], MODES[-1])
    generator = np.random.default_rng(0)
    for _ in range(200):
        gradient = 1 + 0.01 * generator.standard_normal(20000)
        step([keras.ops.convert_to_tensor(gradient, "float32")])
    # 200 steps of 1e-4; each weight scatters by about 0.012, the mean of 20,000 by 1e-4.
    assert variable.numpy().astype("float64").mean() == pytest.approx(1.48, abs=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_a_variable_that_somebody_sets_counts(mode):
    variable = keras.Variable([1.0, 2.0], dtype="bfloat16")
    optimizer = keras_adam.Adam(1e-4, master_weights=True)
    step = make_step(optimizer, [variable], mode)
    gradient = keras.ops.ones(2, "bfloat16")
    for _ in range(3):
        step([gradient])
    kept = masters(optimizer)[0].numpy()[1]
    variable.assign(keras.ops.convert_to_tensor([5.0, 2.0], "bfloat16"))
    step([gradient])
    found = masters(optimizer)[0].numpy()
    np.testing.assert_allclose(found, [5 - 1e-4, kept - 1e-4], rtol=0, atol=1e-5)


def test_no_copy_where_none_is_needed():
    optimizer = keras_adam.Adam(master_weights=True)
    optimizer.build([keras.Variable([1.0], dtype=d) for d in ("float32", "bfloat16", "float16")])
    assert len(masters(optimizer)) == 2
    optimizer = keras_adam.Adam(master_weights="stochastic")
    optimizer.build([keras.Variable([1.0], dtype=d) for d in ("float32", "bfloat16")])
    assert masters(optimizer) == []


def test_random_rounding_of_float16_weights_is_refused():
    optimizer = keras_adam.Adam(master_weights="stochastic")
    with pytest.raises(ValueError, match=r"is of float16\. Use master_weights=True"):
        optimizer.build([keras.Variable([1.0], dtype="float16")])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="IndexedSlices are TensorFlow's")
@pytest.mark.parametrize("arguments", [{"state_dtype": "bfloat16"}, {"master_weights": True}])
def test_lazy_rows(arguments):
    """Only the named rows change, and a row that is named twice changes once."""
    import tensorflow as tf

    dtype = "bfloat16" if "master_weights" in arguments else "float32"
    table = keras.Variable(np.ones((6, 3)), dtype=dtype)
    optimizer = keras_adam.Adam(0.01, lazy=True, **arguments)
    for _ in range(4):
        values = tf.cast(tf.constant([[0.5] * 3, [1.0] * 3, [0.5] * 3]), dtype)
        gradient = tf.IndexedSlices(values, tf.constant([4, 1, 4]), tf.constant([6, 3]))
        optimizer.apply([gradient], [table])
    found = table.numpy().astype("float64")
    np.testing.assert_array_equal(found[[0, 2, 3, 5]], np.ones((4, 3)))
    np.testing.assert_allclose(found[[1, 4]], 0.96, atol=5e-3)


@pytest.mark.parametrize("master_weights", [True, "stochastic"])
def test_the_averages_are_the_weights_after_fit(master_weights):
    model = keras.Sequential(
        [keras.Input((8,), dtype="bfloat16"), keras.layers.Dense(1, dtype="bfloat16")]
    )
    model.compile(keras_adam.Adam(0.1, use_ema=True, master_weights=master_weights), "mse")
    x = np.ones((32, 8), "float32")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    averages = model.optimizer._model_variables_moving_average
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        rounded = keras.ops.cast(average, "bfloat16")
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for v in (weight, rounded))
        )


def test_bfloat16_model_trains_in_fit():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8,), dtype="bfloat16"), keras.layers.Dense(1, dtype="bfloat16")]
    )
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    y = x.sum(1, keepdims=True) / 4
    model.compile(keras_adam.Adam(1e-2, state_dtype="bfloat16", master_weights=True), "mse")
    first = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=40, batch_size=16, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.1 * first


@pytest.mark.parametrize("master_weights", [True, "stochastic"])
@pytest.mark.skipif(BACKEND == "torch", reason="Keras makes no such variables on PyTorch")
@pytest.mark.parametrize("options", [{"use_ema": True}, {"gradient_accumulation_steps": 2}])
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_integer_variables_have_no_master(options, master_weights):
    """They have no gradient, and no fractions that could be lost."""
    variables = [keras.Variable([1.0], dtype="bfloat16"), keras.Variable([3], dtype="int32")]
    optimizer = keras_adam.Adam(0.5, **options, master_weights=master_weights, jit_compile=False)
    for _ in range(2):
        optimizer.apply([keras.ops.ones(1, "bfloat16"), None], variables)
    assert len(masters(optimizer)) == (master_weights is True)
    np.testing.assert_array_equal(variables[1].numpy(), [3])
    np.testing.assert_array_equal(np.array(variables[0].numpy(), "float32") < 1.0, [True])
