"""Tests for Keras's PyTorch backend: the fused kernel, the user's `.grad`, `torch.compile`."""

import copy
import warnings

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

if BACKEND != "torch":
    pytest.skip("PyTorch's", allow_module_level=True)

import torch
from torch._dynamo.utils import counters
from torch.utils._python_dispatch import TorchDispatchMode

from keras_adam.backends.torch import fused, places

SHAPES = [(3, 4), (5,), (2, 3, 4), ()]
OPTIONS = {
    "plain": {},
    "amsgrad": {"amsgrad": True},
    "weight_decay": {"weight_decay": 0.1},
    "clipnorm": {"clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.7},
    "ema": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    "loss_scale": {"loss_scale_factor": 1024.0},
    "accumulation": {"gradient_accumulation_steps": 3},
    "much": {
        "weight_decay": 0.1,
        "global_clipnorm": 0.7,
        "use_ema": True,
        "ema_momentum": 0.8,
        "ema_overwrite_frequency": 2,
        "gradient_accumulation_steps": 2,
        "loss_scale_factor": 8.0,
    },
}


@pytest.mark.parametrize("name", fused.TORCH_PRIVATE)
def test_torch_still_has_what_we_use(name):
    assert hasattr(torch, name), (
        f"torch {torch.__version__} has moved `torch.{name}`, on which backends/torch rests"
    )


def kernels(monkeypatch, optimizer, gradients, variables):
    """Return how many variables each call of the kernel updates in one step."""
    kernel, calls = torch._fused_adamw_, []

    def count(variables, *arguments, **others):
        calls.append(len(variables))
        return kernel(variables, *arguments, **others)

    optimizer.apply(gradients, variables)
    monkeypatch.setattr(torch, "_fused_adamw_", count)
    optimizer.apply(gradients, variables)
    monkeypatch.setattr(torch, "_fused_adamw_", kernel)
    return calls


@pytest.mark.parametrize(
    ("options", "fused_variables"),
    [
        ({}, 2),
        ({"clipnorm": 1.0}, 1),
        ({"state_dtype": "bfloat16"}, 0),
        ({"jit_compile": False}, 0),
    ],
    ids=str,
)
def test_which_way_an_update_goes_is_seen(options, fused_variables):
    variables = [keras.Variable(np.ones(3), dtype=dtype) for dtype in ("float32", "bfloat16")]
    optimizer = keras_adam.Adam(**options)
    assert optimizer.fused_variables is None
    optimizer.apply([torch.ones(3)] * 2, variables)
    assert optimizer.fused_variables == fused_variables


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("options", [{}, {"amsgrad": True}, {"skip_nonfinite": True}], ids=str)
def test_one_call_updates_all_variables(options, dtype, monkeypatch):
    if dtype == "float16" and "skip_nonfinite" in options:
        pytest.skip("the pure functions keep a velocity within the range of float16")
    variables = [keras.Variable(a, dtype=dtype) for a in random_arrays(SHAPES, 1)]
    gradients = [
        torch.ones(shape).to(v.value.dtype) for shape, v in zip(SHAPES, variables, strict=True)
    ]
    optimizer = keras_adam.Adam(**options)
    assert kernels(monkeypatch, optimizer, gradients, variables) == [len(SHAPES)]


def test_decay_takes_a_call_of_its_own_and_jit_compile_false_none(monkeypatch):
    variables = [keras.Variable(a) for a in random_arrays(SHAPES, 1)]
    gradients = [torch.ones(shape) for shape in SHAPES]
    optimizer = keras_adam.AdamW()
    optimizer.exclude_from_weight_decay(var_list=variables[1:3])
    assert sorted(kernels(monkeypatch, optimizer, gradients, variables)) == [2, 2]
    assert kernels(monkeypatch, keras_adam.Adam(jit_compile=False), gradients, variables) == []


@pytest.mark.parametrize("option", OPTIONS)
def test_without_the_kernel_the_numbers_are_the_same(option, monkeypatch):
    """An older or newer torch may not have the kernel."""
    fused.is_available.cache_clear()
    monkeypatch.delattr(torch, "_fused_adamw_")
    options = {"learning_rate": 0.01, **OPTIONS[option]}
    optimizer, reference, variables = train_both(options, SHAPES, "eager", steps=7)
    fused.is_available.cache_clear()
    assert_same_training(optimizer, reference, variables)


class NoHost(TorchDispatchMode):
    """Refuses to read a tensor on the host, which would wait for a GPU."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        assert function is not torch.ops.aten._local_scalar_dense.default, "read on the host"
        return function(*arguments, **keywords or {})


@pytest.mark.parametrize("skip_nonfinite", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
def test_nothing_is_read_on_the_host(option, skip_nonfinite, monkeypatch):
    """This runs on the CPU, but as on a GPU, all numbers that depend on a tensor stay tensors."""
    find = places.Places.find

    def find_on_a_gpu(self, iterations):
        find(self, iterations)
        self.on_host = False

    monkeypatch.setattr(places.Places, "find", find_on_a_gpu)
    initial = random_arrays(SHAPES, seed=1)
    options = {"learning_rate": 0.01, "skip_nonfinite": skip_nonfinite, **OPTIONS[option]}
    reference = ReferenceAdam(**options).build(initial)
    variables = [keras.Variable(a, dtype="float32") for a in initial]
    optimizer = keras_adam.Adam(**options)
    optimizer.build(variables)
    for i in range(7):
        arrays = random_arrays(SHAPES, seed=100 + i)
        if skip_nonfinite and i == 4:
            arrays[1][0] = np.inf
        tensors = [torch.tensor(a, dtype=torch.float32) for a in arrays]
        with NoHost():
            optimizer.apply(tensors, variables)
        reference.apply(arrays)
    assert_same_training(optimizer, reference, variables)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_gradients_of_the_user_stay_as_they_are(option):
    variables = [keras.Variable(a) for a in random_arrays(SHAPES, 1)]
    optimizer = keras_adam.Adam(0.01, skip_nonfinite=True, **OPTIONS[option])
    for _ in range(4):
        for variable in variables:
            variable.value.grad = None
        sum((variable.value**2).sum() for variable in variables).backward()
        gradients = [variable.value.grad for variable in variables]
        before = [gradient.clone() for gradient in gradients]
        optimizer.apply(gradients, variables)
        for gradient, was, variable in zip(gradients, before, variables, strict=True):
            assert torch.equal(gradient, was)
            assert variable.value.grad is gradient
            assert not variable.value.grad.requires_grad


def test_gradients_of_any_layout():
    """The kernel goes through the memory in its order."""
    initial, gradient = random_arrays([(3, 4), (3, 4)], 1)
    reference = ReferenceAdam(learning_rate=0.01).build([initial])
    variable = keras.Variable(initial, dtype="float32")
    optimizer = keras_adam.Adam(0.01)
    transposed = torch.tensor(gradient.T, dtype=torch.float32).contiguous().t()
    assert not transposed.is_contiguous()
    for _ in range(3):
        optimizer.apply([transposed], [variable])
        reference.apply([gradient])
    assert_same_training(optimizer, reference, [variable])


def test_variables_that_lie_elsewhere_than_before():
    """`model.to` and similar calls give a parameter other memory or another order."""
    initial, gradient = random_arrays([(2, 3, 4, 5), (2, 3, 4, 5)], 1)
    reference = ReferenceAdam(learning_rate=0.01).build([initial])
    variable = keras.Variable(initial, dtype="float32")
    optimizer = keras_adam.Adam(0.01)
    for i in range(4):
        if i == 2:
            data = variable.value.data
            variable.value.data = data.to(memory_format=torch.channels_last)
        optimizer.apply([torch.tensor(gradient, dtype=torch.float32)], [variable])
        reference.apply([gradient])
    assert_same_training(optimizer, reference, [variable])


def test_large_variables_that_are_clipped_in_parts(monkeypatch):
    monkeypatch.setitem(fused.PART_NUMBERS, "cpu", 7)
    options = {"learning_rate": 0.01, "clipnorm": 0.5, "weight_decay": 0.1}
    optimizer, reference, variables = train_both(options, [(5, 6), (3,), (4,)], "eager", steps=9)
    assert_same_training(optimizer, reference, variables)


def test_a_loop_of_ones_own_without_no_grad():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    optimizer = keras_adam.AdamW(0.1, global_clipnorm=1.0, use_ema=True)
    before = [v.numpy() for v in model.variables]
    for _ in range(3):
        model.zero_grad()
        model(torch.ones(2, 3)).square().sum().backward()
        weights = model.trainable_weights
        optimizer.apply([v.value.grad for v in weights], weights)
    assert all(v.value.requires_grad and v.value.is_leaf for v in model.trainable_weights)
    assert not any(v.value.grad_fn for v in optimizer.variables)
    assert not np.array_equal(before[0], model.variables[0].numpy())


def test_a_subclass_that_overrides_no_hook_has_the_kernel(monkeypatch):
    class Mine(keras_adam.Adam):
        def get_config(self):
            return super().get_config()

    variables = [keras.Variable(a) for a in random_arrays(SHAPES, 1)]
    gradients = [torch.ones(shape) for shape in SHAPES]
    assert kernels(monkeypatch, Mine(), gradients, variables) == [len(SHAPES)]


def test_stateless_apply_changes_nothing_in_place():
    variable = keras.Variable([1.0, 2.0])
    optimizer = keras_adam.Adam(0.1)
    optimizer.build([variable])
    state = [v.value for v in optimizer.variables]
    weights, new_state = optimizer.stateless_apply(state, [torch.ones(2)], [variable.value])
    np.testing.assert_allclose(weights[0].detach(), [0.9, 1.9], rtol=1e-5)
    np.testing.assert_array_equal(variable.numpy(), [1.0, 2.0])
    assert int(optimizer.iterations) == 0
    assert int(new_state[0]) == 1


def test_a_deep_copy_goes_its_own_way():
    variables = [keras.Variable(a) for a in random_arrays(SHAPES, 1)]
    optimizer = keras_adam.Adam(0.01)
    gradients = [torch.ones(shape) for shape in SHAPES]
    optimizer.apply(gradients, variables)
    other, others = copy.deepcopy((optimizer, variables))
    other.apply(gradients, others)
    assert int(optimizer.iterations) == 1
    assert int(other.iterations) == 2
    assert float(others[0].numpy().sum()) < float(variables[0].numpy().sum())


@pytest.mark.parametrize("layout", ["to_sparse_csr", "to_sparse_csc"])
def test_a_sparse_layout_that_is_not_supported(layout):
    variable = keras.Variable(np.ones((3, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the layout a beta
        gradient = getattr(torch.ones(3, 2), layout)()
    with pytest.raises(
        TypeError, match=r"layout torch\.sparse_coo; received one of torch\.sparse_"
    ):
        keras_adam.Adam(0.1).apply([gradient], [variable])


@pytest.mark.parametrize(
    "options",
    [
        {"amsgrad": True, "clipnorm": 0.5, "skip_nonfinite": True},
        {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 3},
    ],
    ids=["clipped", "accumulated"],
)
def test_traced_by_torch_compile(options):
    options = {"learning_rate": 0.01, "loss_scale_factor": 8.0, **options}
    optimizer, reference, variables = train_both(options, SHAPES[:2], "compiled", steps=9)
    assert_same_training(optimizer, reference, variables)


def test_torch_compile_makes_one_graph_and_keeps_it():
    """The learning rate, a schedule and the count of steps are inputs of the graph."""
    initial = random_arrays(SHAPES[:2], seed=1)
    options = {"weight_decay": 0.1, "use_ema": True, "global_clipnorm": 0.5}
    reference = ReferenceAdam(**options).build(initial)
    variables = [keras.Variable(a, dtype="float32") for a in initial]
    optimizer = keras_adam.Adam(0.01, **options)
    step = make_step(optimizer, variables, "compiled")
    for i in range(6):
        if i == 2:
            torch._dynamo.config.error_on_recompile = True
        reference.learning_rate = 0.01 / (i + 1)
        optimizer.learning_rate = 0.01 / (i + 1)
        arrays = random_arrays(SHAPES[:2], seed=100 + i)
        try:
            step([torch.tensor(a, dtype=torch.float32) for a in arrays])
        finally:
            torch._dynamo.config.error_on_recompile = False
        reference.apply(arrays)
    assert_same_training(optimizer, reference, variables)


def test_fit_that_torch_compiles():
    """Keras's step has a graph break at `loss.backward()`; the optimizer adds none."""
    x, y = random_arrays([(8, 3), (8, 1)], seed=1)
    models = []
    for module, jit_compile in ((keras_adam, True), (keras.optimizers, False)):
        keras.utils.set_random_seed(0)
        models.append(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
        optimizer = module.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 20))
        models[-1].compile(optimizer, "mse", jit_compile=jit_compile)
        counters.clear()
        models[-1].fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        if jit_compile:
            assert all("backward" in reason for reason in counters["graph_break"])
            assert counters["stats"]["unique_graphs"] <= 4
    assert int(models[0].optimizer.iterations) == 4
    for ours, theirs in zip(*(model.variables for model in models), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=5e-6)
