"""Which variables TensorFlow's own operations update, and which XLA; that nobody sees the seam."""

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import (
    BACKEND,
    assert_same_training,
    make_step,
    random_arrays,
    train_both,
)
from tests.reference import ReferenceAdam

pytestmark = pytest.mark.skipif(BACKEND != "tensorflow", reason="a kernel of TensorFlow's")

SHAPES = [(3, 4), (5,), (2, 2)]


def kernels(optimizer, variables, gradients):
    """Return the shapes of the variables that the kernel updates in one step."""
    import tensorflow as tf

    optimizer.build(variables)
    step = tf.function(lambda: optimizer.apply(gradients, variables), autograph=False)
    operations = step.get_concrete_function().graph.get_operations()
    used = [o.inputs[9] for o in operations if o.type == "ResourceApplyAdam"]
    return [tuple(gradient.shape) for gradient in used]


def ones(dtype="float32"):
    variables = [keras.Variable(np.ones(shape), dtype=dtype) for shape in SHAPES]
    return variables, [keras.ops.ones(shape, dtype) for shape in SHAPES]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_variable_that_needs_nothing_but_adam_has_the_kernel(dtype):
    assert kernels(keras_adam.Adam(), *ones(dtype)) == SHAPES


@pytest.mark.parametrize(
    "options",
    [
        {"beta_1": 0.4},
        {"beta_2": 0.4},
        {"beta_1": 0.99999999},
        {"beta_2": 0.9999},
        {"beta_1": lambda: 0.9},
        {"amsgrad": True},
        {"clipnorm": 1.0},
        {"clipvalue": 1.0},
        {"global_clipnorm": 1.0},
        {"use_ema": True},
        {"loss_scale_factor": 2.0},
        {"gradient_accumulation_steps": 2},
        {"skip_nonfinite": True},
        {"jit_compile": False},
    ],
    ids=lambda options: "-".join(options),
)
def test_more_than_adam_is_left_to_xla(options):
    found = kernels(keras_adam.Adam(**options), *ones())
    # What a callable returns is known when the step is traced.
    assert found == (SHAPES if "beta_1" in options and callable(options["beta_1"]) else [])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_left_to_xla(dtype):
    assert kernels(keras_adam.Adam(), *ones(dtype)) == []


def test_what_the_kernel_would_split_for_nothing_takes_operations_in_place():
    sizes = [10, 32, 33, 1000, 16383, 16384, 20000]
    variables = [keras.Variable(np.ones(size), dtype="float32") for size in sizes]
    gradients = [keras.ops.ones(size) for size in sizes]
    assert kernels(keras_adam.Adam(), variables, gradients) == [(10,), (32,), (16384,), (20000,)]


@pytest.mark.parametrize("mode", ["eager", "graph", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}], ids=["adam", "decay"])
def test_every_size_takes_the_same_steps(mode, dtype, options):
    options = {"learning_rate": 0.01, **options}
    shapes = [(5,), (13, 5), (130, 130)]
    optimizer, reference, variables = train_both(options, shapes, mode, steps=30, dtype=dtype)
    assert_same_training(optimizer, reference, variables)


def test_each_variable_is_looked_at_by_itself():
    import tensorflow as tf

    variables, gradients = ones()
    gradients[0] = tf.IndexedSlices(tf.ones((1, 4)), tf.constant([2]), tf.constant([3, 4]))
    assert kernels(keras_adam.Adam(lazy=True), variables, gradients) == [(5,), (2, 2)]
    optimizer = keras_adam.AdamW()
    variables, gradients = ones()
    optimizer.exclude_from_weight_decay(var_list=[variables[1]])
    assert kernels(optimizer, variables, gradients) == [(5,)]


@pytest.mark.parametrize("mode", ["eager", "graph", "compiled"])
def test_kernel_and_xla_take_the_same_steps_side_by_side(mode):
    initial = random_arrays(SHAPES, seed=1)
    reference = ReferenceAdam(weight_decay=0.1, learning_rate=0.01, no_decay={1}).build(initial)
    variables = [keras.Variable(a) for a in initial]
    optimizer = keras_adam.Adam(weight_decay=0.1, learning_rate=0.01)
    optimizer.exclude_from_weight_decay(var_list=[variables[1]])
    step = make_step(optimizer, variables, mode)
    for i in range(30):
        gradients = random_arrays(SHAPES, seed=100 + i)
        step([keras.ops.convert_to_tensor(g, "float32") for g in gradients])
        reference.apply(gradients)
    assert_same_training(optimizer, reference, variables)


def test_gradients_of_other_dtypes_may_come_in_between():
    initial = random_arrays(SHAPES, seed=1)
    reference = ReferenceAdam(learning_rate=0.01).build(initial)
    variables = [keras.Variable(a) for a in initial]
    optimizer = keras_adam.Adam(0.01)
    for i in range(6):
        dtype = ("float32", "bfloat16", "float16")[i % 3]
        gradients = [
            keras.ops.convert_to_tensor(a, dtype) for a in random_arrays(SHAPES, seed=100 + i)
        ]
        optimizer.apply(gradients, variables)
        reference.apply([keras.ops.cast(g, "float64").numpy() for g in gradients])
    assert_same_training(optimizer, reference, variables)


def test_called_from_python_under_a_tape():
    import tensorflow as tf

    variable = keras.Variable([1.0, 2.0])
    optimizer = keras_adam.Adam(0.1)
    with tf.GradientTape(persistent=True) as tape:
        for _ in range(2):
            loss = tf.reduce_sum(variable.value**2)
            optimizer.apply(tape.gradient(loss, [variable.value]), [variable])
    np.testing.assert_allclose(variable.numpy(), [0.8, 1.8], atol=1e-2)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6])
def test_gradients_of_any_size(scale):
    optimizer, reference, variables = train_both(
        {"learning_rate": 0.01}, SHAPES, "eager", steps=50, gradient_scale=scale
    )
    assert_same_training(optimizer, reference, variables)


@pytest.mark.parametrize("beta", [0.9995, 0.9999, 0.99999999])
def test_betas_near_one(beta):
    options = {"learning_rate": 0.01, "beta_1": beta, "beta_2": beta}
    optimizer, reference, variables = train_both(options, SHAPES, "eager", steps=50)
    assert_same_training(optimizer, reference, variables)


def test_a_shape_that_the_graph_does_not_know():
    import tensorflow as tf

    variable = keras.Variable([1.0, 2.0])
    optimizer = keras_adam.Adam(0.1)
    optimizer.build([variable])

    def step(specification):
        @tf.function(autograph=False, input_signature=[specification])
        def function(gradient):
            optimizer.apply([gradient], [variable])

        return function

    step(tf.TensorSpec([None]))(tf.ones(2))
    step(tf.TensorSpec(None))(tf.ones(2))
    np.testing.assert_allclose(variable.numpy(), [0.8, 1.8], atol=1e-5)
    with pytest.raises(ValueError, match="must have its shape"):
        step(tf.TensorSpec([None, None]))(tf.ones((1, 2)))
    with pytest.raises(tf.errors.InvalidArgumentError):
        step(tf.TensorSpec([None]))(tf.ones(3))
