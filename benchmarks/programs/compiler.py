"""Compiles an update or a training step for a GPU, in a worker.

The machine does not need the GPU, because XLA's compiler takes a description of the GPU. Nothing is
copied to a GPU, and nothing is run. The arguments of a program are shapes and dtypes; the model
itself is in the memory of this machine.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks import environment, models, optimizers
from benchmarks.networks import Shape
from benchmarks.programs import account, hlo, targets
from benchmarks.run import parse_optimizer
from benchmarks.updates import one_update, shapes
from benchmarks.updates.training_step import IMAGE_SHAPES

UPDATE = "optimizer_update"
"""The scope in which the update is traced; its name is in the HLO of the update."""

LEARNING_RATE = 0.001

LARGE_IMAGE: Shape = (224, 224, 3)

# Without a GPU, XLA cannot try kernels out, and takes its default for every choice. The default for
# matrix products is a Triton kernel with fixed tiles, which are powers of two. If the epilogue of a
# product splits the rows, as (batch * 197 tokens, width) in a ViT, these tiles are not possible,
# and the compiler stops ("Couldn't find output tile sizes"). With a GPU, XLA would choose other
# tiles or cuBLAS. So here all matrix products use cuBLAS.
XLA_OPTIONS = {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}


@dataclasses.dataclass(frozen=True)
class Job:
    """The description of one program."""

    target: str
    model: str
    scope: str
    """The scope: "update", of variables with the model's shapes, or "step", a training step."""
    optimizer: str
    """The optimizer, as the text of an `OptimizerSpec`."""
    precision: str
    """Keras's dtype policy."""
    batch_size: int | None
    """The images in a step, over all devices; None for an update."""
    devices: int
    shard_optimizer_state: bool = False
    """Whether each device keeps only its share of the optimizer's state."""

    def __str__(self) -> str:
        """Return the name of the program, for a line of output and for a file."""
        parts = [self.target, self.model, self.scope, self.optimizer, self.precision]
        parts += [f"batch {self.batch_size}"] if self.batch_size else []
        parts += [f"{self.devices} devices"] if self.devices > 1 else []
        return " ".join(parts + (["sharded"] if self.shard_optimizer_state else []))


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The message of a worker that has compiled its program."""

    row: dict[str, Any]
    """The columns of programs.csv, including the environment."""
    hlo: str
    """The optimized program."""


def compile_program(job: Job, send: Callable[[Any], None]) -> None:
    """Compile the program of `job`; send it as `Compiled`.

    Raises:
        InputError: the optimizer refuses its arguments.
        jax.errors.JaxRuntimeError: XLA cannot compile the program for the target.
    """
    # Without CUDA and a driver, JAX's CUDA plugin starts only with this setting.
    os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"
    mesh = _mesh(job)
    build = _update if job.scope == "update" else _step
    function, arguments, parameters = build(job, mesh)
    lowered = function.trace(*arguments).lower(lowering_platforms=("cuda",))
    begin = time.perf_counter()
    compiled = lowered.compile(compiler_options=XLA_OPTIONS)
    seconds = time.perf_counter() - begin
    text = compiled.as_text()
    counted = account.count(hlo.parse(text), UPDATE)
    memory = compiled.memory_analysis()
    row = {
        **environment.environment("jax"),
        **dataclasses.asdict(job),
        **dataclasses.asdict(counted),
        "bytes_per_parameter": counted.update_bytes / parameters,
        "argument_mb": memory.argument_size_in_bytes / 1e6,
        "temporary_mb": memory.temp_size_in_bytes / 1e6,
        "peak_mb": memory.peak_memory_in_bytes / 1e6,
        "compile_seconds": seconds,
    }
    del row["update_bytes"]
    send(Compiled(row, text))


def _mesh(job: Job) -> Any:
    import jax
    import numpy as np
    from jax.experimental import topologies

    topology = topologies.get_topology_desc(
        platform="cuda",
        topology_name=job.target,
        target_config=targets.config(job.target),
        topology=f"1x1x{job.devices}",
    )
    return jax.sharding.Mesh(np.array(topology.devices), ("data",))


def _whole(mesh: Any) -> Any:
    """Return the layout of an array that every device has a copy of."""
    import jax

    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def _split(mesh: Any, job: Job) -> Callable[[Any], Any]:
    """Return a function that gives the layout of an array of the optimizer's state."""
    import jax

    def layout(array: Any) -> Any:
        dimension = optimizers.split_dimension(array.shape, job.devices)
        if not job.shard_optimizer_state or dimension is None:
            return _whole(mesh)
        axes = [None] * dimension + ["data"]
        return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))

    return layout


def _described(values: Any, layout: Callable[[Any], Any]) -> Any:
    """Describe the arrays of a tree: shape, dtype and layout on the devices."""
    import jax

    return jax.tree.map(
        lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=layout(v)),
        jax.tree.map(lambda v: getattr(v, "value", v), values),
    )


def _optimizer(job: Job) -> Any:
    spec = parse_optimizer(job.optimizer)
    return optimizers.build(spec, optimizers.learning_rate(spec, LEARNING_RATE))


def _mark_update(optimizer: Any) -> None:
    import jax

    optimizer.stateless_apply = jax.named_scope(UPDATE)(optimizer.stateless_apply)


def _update(job: Job, mesh: Any) -> tuple[Any, Any, int]:
    """Return the update as a jitted function, its arguments, and the number of parameters."""
    import keras

    dtype = keras.DTypePolicy(job.precision).variable_dtype
    its_shapes = shapes.of(job.model)
    variables = [keras.Variable(keras.ops.zeros(shape, dtype)) for shape in its_shapes]
    optimizer = _optimizer(job)
    optimizer.build(variables)
    _mark_update(optimizer)
    state = _described(optimizer.variables, _split(mesh, job))
    weights = _described(variables, lambda _: _whole(mesh))
    parameters = shapes.parameters(its_shapes)
    return one_update.in_place(optimizer), (state, weights, weights), parameters


def _step(job: Job, mesh: Any) -> tuple[Any, Any, int]:
    """Return the jitted training step of `fit`, its arguments, and the number of parameters."""
    import jax
    import keras

    keras.config.set_dtype_policy(job.precision)
    image_shape = IMAGE_SHAPES.get(job.model, LARGE_IMAGE)
    classes = 10 if job.model in IMAGE_SHAPES else 1000
    model = models.build(job.model, image_shape, classes, seed=0)
    models.compile_for_training(model, _optimizer(job), jit_compile=True)
    optimizer = model.optimizer  # in mixed_float16, Keras has wrapped it in a LossScaleOptimizer
    optimizer.build(model.trainable_variables)
    _mark_update(optimizer)
    images = keras.KerasTensor((job.batch_size, *image_shape), "float32")
    labels = keras.KerasTensor((job.batch_size,), "int32")
    model._symbolic_build(data_batch=(images, labels))  # as `fit` does: creates the metrics' state
    state = (
        model.trainable_variables,
        model.non_trainable_variables,
        optimizer.variables,
        model.metrics_variables,
    )
    whole, split = _whole(mesh), _split(mesh, job)
    layouts = [lambda _: whole, lambda _: whole, split, lambda _: whole]
    described = tuple(map(_described, state, layouts))
    by_image = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    data = _described((images, labels), lambda _: by_image)
    parameters = sum(variable.value.size for variable in model.trainable_variables)

    def train_step(state: Any, data: Any) -> Any:
        logs, state = model.train_step(state, data)
        as_before = jax.tree.map(lambda array: array.sharding, described)
        return logs, jax.lax.with_sharding_constraint(state, as_before)

    return jax.jit(train_step, donate_argnums=0), (described, data), parameters
