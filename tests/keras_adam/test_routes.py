"""The routes of variables on TensorFlow, and a check that all give the same results."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_adam
from tests.keras_adam.training import (
    BACKEND,
    MODES,
    assert_same_training,
    covering_rows,
    make_step,
    random_arrays,
    train_both,
)
from tests.reference import ReferenceAdam

if BACKEND != "tensorflow":
    pytest.skip("routes of TensorFlow's", allow_module_level=True)

import tensorflow as tf
from tensorflow.python.eager import context

from keras_adam.backends.interface import TrackedVariable
from keras_adam.backends.tensorflow import routes
from keras_adam.math.adam import Slots
from keras_adam.math.options import Options

SHAPES = [(3, 4), (5,), (2, 2)]
SIZES = [10, 32, 33, 1000, 16383, 16384, 20000]


def operations(optimizer, variables, gradients):
    """Return the operations in the graph of one step, without those in XLA's programs."""
    optimizer.build(variables)
    step = tf.function(lambda: optimizer.apply(gradients, variables), autograph=False)
    graph = step.get_concrete_function().graph
    inside = [f.graph for f in graph._functions.values() if hasattr(f, "graph")]
    return [o for g in (graph, *inside) for o in g.get_operations()]


def kernels(optimizer, variables, gradients):
    """Return the shapes of the variables that the kernel updates in one step."""
    found = operations(optimizer, variables, gradients)
    used = [o.inputs[9] for o in found if o.type == "ResourceApplyAdam"]
    return [tuple(gradient.shape) for gradient in used]


def ones(shapes=SHAPES, dtype="float32"):
    variables = [keras.Variable(np.ones(shape), dtype=dtype) for shape in shapes]
    return variables, [keras.ops.ones(shape, dtype) for shape in shapes]


def plan(sizes, *, decays=False, betas_fit=True, dtype="float32", **options):
    """Return the sizes of the variables that kernel, operations and programs update."""

    def slot(size, kept=True):
        return tf.Variable(tf.zeros(size, dtype)) if kept else None

    accumulates = options.get("accumulation", False)
    amsgrad, averages = options.pop("amsgrad", False), options.pop("averages", False)
    tracked = [
        TrackedVariable(
            Slots(
                *(slot(size) for _ in range(3)),
                velocity_hat=slot(size, amsgrad),
                average=slot(size, averages),
                accumulator=slot(size, accumulates),
            ),
            decays,
        )
        for size in sizes
    ]
    found = routes.plan(
        tracked,
        ["dense"] * len(sizes),
        Options(**options),
        betas_fit=betas_fit,
        shares_programs=True,
    )
    parts = found.kernel, found.operations, sum(found.programs, ())
    return tuple([sizes[i] for i in part] for part in parts)


def test_plain_variables_by_size():
    assert plan(SIZES) == ([10, 32, 16384, 20000], [33, 1000, 16383], [])


@pytest.mark.parametrize(
    "options",
    [
        {"decays": True},
        {"clip": "clipnorm"},
        {"clip": "clipvalue"},
        {"clip": "global_clipnorm"},
        {"averages": True},
        {"loss_scale": True},
        {"accumulation": True},
    ],
    ids=str,
)
def test_with_options_large_ones_are_left_to_xla(options):
    assert plan(SIZES, **options) == ([10, 32], [33, 1000, 16383], [16384, 20000])


@pytest.mark.parametrize("options", [{"amsgrad": True}, {"skip_nonfinite": True}], ids=str)
def test_what_the_kernel_cannot_do(options):
    assert plan(SIZES, **options) == ([], SIZES[:5], SIZES[5:])


@pytest.mark.parametrize(
    "options",
    [{"betas_fit": False}, {"jit_compile": False}, {"dtype": "bfloat16"}, {"dtype": "float16"}],
    ids=str,
)
def test_what_is_left_to_programs_altogether(options):
    assert plan(SIZES, **options) == ([], [], SIZES)


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([1, 40, 20000]), min_size=1, max_size=40),
    kinds=st.data(),
    stateless=st.data(),
    lazy=st.booleans(),
    averages=st.booleans(),
    skips=st.booleans(),
    shares=st.booleans(),
)
def test_each_variable_is_in_one_part_of_the_plan(
    sizes, kinds, stateless, lazy, averages, skips, shares
):
    variables = {size: tf.Variable(tf.zeros(size)) for size in set(sizes)}
    has_state = [stateless.draw(st.booleans()) for _ in sizes]
    tracked = [
        TrackedVariable(
            Slots(
                variables[size],
                *([variables[size]] * 2 if kept else [None] * 2),
                average=variables[size] if averages and kept else None,
            ),
            False,
        )
        for size, kept in zip(sizes, has_state, strict=True)
    ]
    gradients = [kinds.draw(st.sampled_from([None, "dense", "rows"])) for _ in sizes]
    if not lazy:
        gradients = ["dense" if kind == "rows" else kind for kind in gradients]
    options = Options(lazy=lazy, skip_nonfinite=skips)
    found = routes.plan(tracked, gradients, options, betas_fit=True, shares_programs=shares)
    parts = [*found.kernel, *found.operations, *sum(found.programs, ()), *found.rows]
    moves_all = any(each.slots.average is not None for each in tracked)
    assert sorted(parts) == [
        i
        for i, (kept, gradient) in enumerate(zip(has_state, gradients, strict=True))
        if kept and (moves_all or gradient is not None)
    ]
    assert {gradients[i] for i in found.rows} <= {"rows"}
    assert all(len(group) == 1 for group in found.programs) or shares


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_variable_that_needs_nothing_but_adam_has_the_kernel(dtype):
    assert kernels(keras_adam.Adam(), *ones(dtype=dtype)) == SHAPES


@pytest.mark.parametrize(
    "options",
    [
        {"beta_1": 0.4},
        {"beta_2": 0.4},
        {"beta_1": 0.99999999},
        {"beta_2": 0.9999},
        {"beta_1": keras.Variable(0.9)},
    ],
    ids=lambda options: "-".join(options),
)
def test_betas_that_do_not_fit_the_kernel(options):
    assert kernels(keras_adam.Adam(**options), *ones()) == []


def test_a_beta_that_is_a_callable_is_known_when_the_step_is_traced():
    assert kernels(keras_adam.Adam(beta_1=lambda: 0.9), *ones()) == SHAPES


@pytest.mark.parametrize(
    "options",
    [
        {"clipnorm": 1.0, "use_ema": True, "ema_overwrite_frequency": 2},
        {"global_clipnorm": 1.0, "weight_decay": 0.1, "amsgrad": True},
        {"clipvalue": 1.0, "gradient_accumulation_steps": 2, "loss_scale_factor": 8.0},
        {"skip_nonfinite": True, "gradient_accumulation_steps": 2, "use_ema": True},
    ],
    ids=lambda options: "-".join(options),
)
def test_small_variables_take_no_program_with_any_option(options):
    found = operations(keras_adam.Adam(**options), *ones([(3, 4), (20, 20)]))
    assert any(o.type == "AssignAddVariableOp" for o in found)
    programs = [o for o in found if "_XlaMustCompile" in o.node_def.attr]
    assert programs == []
    found = operations(keras_adam.Adam(**options), *ones([(3, 4), (200, 200)]))
    assert any("_XlaMustCompile" in o.node_def.attr for o in found)


def operations_run(optimizer_class, options, count):
    """Return how many operations one step of a `tf.function` runs after TensorFlow's optimizer."""
    variables, gradients = ones([(100,)] * count)
    optimizer = optimizer_class(**options)
    optimizer.build(variables)
    step = tf.function(lambda: optimizer.apply(gradients, variables), autograph=False)
    context.enable_graph_collection()
    step()
    graphs = context.context().export_run_metadata().function_graphs[-1].partition_graphs
    context.disable_graph_collection()
    nodes = [node for graph in graphs for node in graph.node]
    return sum(node.op not in ("_Arg", "_Retval", "Const", "NoOp") for node in nodes)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 2),
        ({}, 9),
        ({"weight_decay": 0.1}, 2),
        ({"clipnorm": 1.0}, 2),
        ({"global_clipnorm": 1.0}, 2),
        ({"clipvalue": 1.0}, 2),
        ({"amsgrad": True}, 2),
        ({"use_ema": True}, 2),
        ({"use_ema": True, "ema_overwrite_frequency": 3}, 2),
        ({"loss_scale_factor": 8.0}, 2),
        ({"gradient_accumulation_steps": 2}, 2),
        ({"weight_decay": 0.1, "global_clipnorm": 1.0, "amsgrad": True, "use_ema": True}, 9),
    ],
    ids=str,
)
def test_small_variables_take_fewer_operations_than_with_keras(options, count):
    """Each operation takes about the same time, so their number shows the update's time."""
    ours = operations_run(keras_adam.Adam, options, count)
    assert 10 * count < ours < operations_run(keras.optimizers.Adam, options, count)


@pytest.mark.parametrize(
    ("mode", "dtype", "options"),
    covering_rows([MODES, ["float32", "float64"], [{}, {"weight_decay": 0.1}]]),
    ids=str,
)
def test_every_size_takes_the_same_steps(mode, dtype, options):
    options = {"learning_rate": 0.01, **options}
    shapes = [(5,), (13, 5), (130, 130)]
    optimizer, reference, variables = train_both(options, shapes, mode, steps=30, dtype=dtype)
    assert_same_training(optimizer, reference, variables)


def test_each_variable_is_looked_at_by_itself():
    variables, gradients = ones()
    gradients[0] = tf.IndexedSlices(tf.ones((1, 4)), tf.constant([2]), tf.constant([3, 4]))
    assert kernels(keras_adam.Adam(lazy=True), variables, gradients) == [(5,), (2, 2)]
    optimizer = keras_adam.AdamW()
    variables, gradients = ones([(20000,), (17000,), (5,)])
    optimizer.exclude_from_weight_decay(var_list=[variables[1]])
    assert kernels(optimizer, variables, gradients) == [(17000,), (5,)]


@pytest.mark.parametrize("mode", ["eager", "graph", "compiled"])
def test_kernel_and_xla_take_the_same_steps_side_by_side(mode):
    shapes = [(20000,), (17000,), (5,)]
    initial = random_arrays(shapes, seed=1)
    reference = ReferenceAdam(weight_decay=0.1, learning_rate=0.01, no_decay={1}).build(initial)
    variables = [keras.Variable(a) for a in initial]
    optimizer = keras_adam.Adam(weight_decay=0.1, learning_rate=0.01)
    optimizer.exclude_from_weight_decay(var_list=[variables[1]])
    step = make_step(optimizer, variables, mode)
    for i in range(30):
        gradients = random_arrays(shapes, seed=100 + i)
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
    with pytest.raises(ValueError, match="must have shape"):
        step(tf.TensorSpec([None, None]))(tf.ones((1, 2)))
    with pytest.raises(tf.errors.InvalidArgumentError):
        step(tf.TensorSpec([None]))(tf.ones(3))
