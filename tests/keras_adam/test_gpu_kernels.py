"""Whether a GPU could run the update's graphs on TensorFlow, from TensorFlow's registries.

The registries list the kernels of the installed TensorFlow, also without a GPU. A listed kernel may
still fail on a GPU. This shows that the update can be placed on a GPU, not that it was run on one.
"""

import functools

import keras
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND

if BACKEND != "tensorflow":
    pytest.skip("asks TensorFlow", allow_module_level=True)

import tensorflow as tf
from tensorflow.python.framework import kernels
from tensorflow.python.util import pywrap_xla_ops

CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
# The arguments that GPU kernels need in the host's memory: handles of variables, numbers and
# positions of rows and axes, the predicate of a branch. None of them is an array of the
# computation.
ON_HOST = {"resource", "var", "m", "v", "num_segments", "cond"}
ON_HOST |= {"reduction_indices", "axis", "begin", "end", "strides", "size", "k", "shape", "dims"}


def is_of_the_host(node):
    """Say whether a node has constants, shapes or int32, which TensorFlow keeps on the host.

    The row numbers of a lazy update are int32.
    """
    return node.op in {"Const", "Shape"} or node.attr["T"].type == tf.int32.as_datatype_enum


OPTIONS = [
    {},
    {"amsgrad": True},
    {"weight_decay": 0.01},
    {"clipnorm": 1.0},
    {"clipvalue": 1.0},
    {"global_clipnorm": 1.0},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"loss_scale_factor": 8.0},
    {"gradient_accumulation_steps": 2},
    {"skip_nonfinite": True},
    {"jit_compile": False},
]


@functools.cache
def gpu_kernels(op):
    found = kernels.get_registered_kernels_for_op(op).kernel
    return [kernel for kernel in found if kernel.device_type in ("GPU", "DEFAULT")]


if not any(kernel.device_type == "GPU" for kernel in gpu_kernels("Sqrt")):
    pytest.skip("this TensorFlow was built without GPU kernels", allow_module_level=True)


XLA_KERNELS = set(pywrap_xla_ops.get_gpu_kernel_names())


def nodes_of(graph_def):
    """Return the nodes that run by themselves, and those in programs that XLA compiles."""
    functions = {f.signature.name: f for f in graph_def.library.function}
    own, compiled = [], []

    def walk(nodes, into):
        for node in nodes:
            must_compile = node.attr["_XlaMustCompile"].b
            if not must_compile:
                into.append(node)
            for value in node.attr.values():
                if value.func.name:
                    walk(functions[value.func.name].node_def, compiled if must_compile else into)

    walk(graph_def.node, own)
    return own, compiled


def fits(kernel, node):
    return all(
        node.attr[constraint.name].type in constraint.allowed_values.list.type
        for constraint in kernel.constraint
    )


def graph_of(options, sparse):
    """Return the graph of an update of variables of all dtypes."""
    variables = [
        keras.Variable(keras.ops.ones(shape), dtype=dtype)
        for dtype in ["float32", "float64", "bfloat16", "float16"]
        for shape in [(8, 4), (4,)]
    ]
    optimizer = keras_adam.Adam(**options)
    optimizer.build(variables)
    specs = [
        tf.IndexedSlicesSpec(v.shape, v.dtype)
        if sparse and len(v.shape) == 2
        else tf.TensorSpec(v.shape, v.dtype)
        for v in variables
    ]
    function = tf.function(lambda gradients: optimizer.apply(gradients, variables), autograph=False)
    return function.get_concrete_function(specs).graph.as_graph_def()


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("options", [*OPTIONS, {"lazy": True}], ids=str)
def test_every_operation_has_a_gpu_kernel_for_its_dtype(options, sparse):
    own, compiled = nodes_of(graph_of(options, sparse))
    for node in own:
        fitting = [kernel for kernel in gpu_kernels(node.op) if fits(kernel, node)]
        assert fitting, node
        on_device = any(set(kernel.host_memory_arg) <= ON_HOST for kernel in fitting)
        assert on_device or is_of_the_host(node), node
    no_kernels = CALLS | {"Placeholder"}  # XLA handles arguments and calls itself
    assert {node.op for node in compiled} - XLA_KERNELS - no_kernels == set()
    assert len(own) + len(compiled) > 10


def test_an_operation_without_a_gpu_kernel_would_be_found():
    function = tf.function(lambda x: tf.strings.as_string(x))
    graph_def = function.get_concrete_function(tf.TensorSpec((), "float32")).graph.as_graph_def()
    own, _ = nodes_of(graph_def)
    assert [n.op for n in own if not any(fits(k, n) for k in gpu_kernels(n.op))] == ["AsString"]
