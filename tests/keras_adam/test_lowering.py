"""The update lowers for accelerators that this machine does not have, to XLA's input.

`test_jax` runs this in the suite on TensorFlow.
"""

import inspect
import itertools

import keras
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND

if BACKEND != "jax":
    pytest.skip("lowers what JAX traces", allow_module_level=True)

import jax
from jax.experimental import sparse as jax_sparse

PLATFORMS = ("cuda", "rocm", "tpu")
OPTIONS = [
    {},
    {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)},
    {"beta_1": lambda: jax.numpy.float32(0.9), "beta_2": lambda: 0.99},
    {"epsilon": 1e-5},
    {"amsgrad": True},
    {"weight_decay": 0.01},
    {"clipnorm": 1.0},
    {"clipvalue": 1.0},
    {"global_clipnorm": 1.0},
    {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2},
    {"loss_scale_factor": 8.0},
    {"gradient_accumulation_steps": 2},
    {"skip_nonfinite": True},
    {"skip_nonfinite": True, "gradient_accumulation_steps": 2, "global_clipnorm": 1.0},
    {"jit_compile": False},
    {"lazy": True},
    {"state_dtype": "bfloat16"},
    {"state_dtype": "int8", "amsgrad": True},
    {"master_weights": True, "state_dtype": "float32"},
]


def test_every_option_is_lowered_here():
    parameters = set(inspect.signature(keras_adam.Adam).parameters) - {"name", "kwargs"}
    assert {name for options in OPTIONS for name in options} == parameters


# The dtypes take turns. The default is the first and the last of the options.
@pytest.mark.parametrize(
    ("options", "dtype"),
    list(zip([*OPTIONS, {}], itertools.cycle(["float32", "bfloat16", "float16"]), strict=False)),
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "default",
)
def test_the_update_lowers_for_every_accelerator(options, dtype):
    assert_lowers(options, dtype)


def test_random_rounding_of_weights_lowers():
    assert_lowers({"master_weights": "stochastic"}, "bfloat16")


def assert_lowers(options, dtype):
    shapes = [(8, 4), (4,), (), (64, 65)]  # the last one is large enough for codes
    variables = [keras.Variable(keras.ops.ones(shape), dtype=dtype) for shape in shapes]
    optimizer = keras_adam.Adam(**options)
    optimizer.build(variables)
    state, weights = (
        [jax.ShapeDtypeStruct(v.shape, v.value.dtype) for v in values]
        for values in (optimizer.variables, variables)
    )
    gradients = list(weights)
    if optimizer.lazy:
        rows = jax_sparse.BCOO.fromdense(jax.numpy.ones((8, 4), dtype), nse=3, n_dense=1)
        gradients[0] = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), rows)
    function = jax.jit(optimizer.stateless_apply)
    exported = jax.export.export(function, platforms=PLATFORMS)(state, gradients, weights)
    assert exported.platforms == PLATFORMS
    outputs = [(value.shape, value.dtype) for value in exported.out_avals]
    assert outputs == [(value.shape, value.dtype) for value in [*weights, *state]]
    assert "callback" not in exported.mlir_module()  # no call of Python or the CPU
