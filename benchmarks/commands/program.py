"""`program`: compiles an update or a training step for a GPU, and describes XLA's program."""

from pathlib import Path

import click

from benchmarks import models, optimizers
from benchmarks.commands import checks
from benchmarks.commands.options import reports_folder
from benchmarks.errors import InputError
from benchmarks.programs import targets, wheels
from benchmarks.run import parse_optimizer
from benchmarks.updates import shapes

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16")


@click.command()
@click.option(
    "--target",
    "target_names",
    multiple=True,
    default=["h100"],
    help=f"GPU for which to compile: {', '.join(targets.targets())}. Repeatable.",
)
@click.option(
    "--shapes",
    "shape_names",
    multiple=True,
    help="Compile only the update of this model's trainable variables, as in `update`. "
    "Repeatable. Default without --model: resnet50.",
)
@click.option(
    "--model",
    "model_names",
    multiple=True,
    help="Compile the whole training step of this model, as in `train`; a large model gets images "
    "of 224x224x3 and 1000 classes. Repeatable.",
)
@click.option(
    "--optimizer",
    "optimizer_texts",
    multiple=True,
    default=["keras_adam", "adam"],
    help="Optimizer, as for `train`. Repeatable.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=64,
    help="Number of images in a step, over all devices; for --model.",
)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    help="Number of GPUs that share the images of a step; each has all variables.",
)
@click.option(
    "--shard-optimizer-state",
    is_flag=True,
    help="Each GPU keeps only its share of the optimizer's state.",
)
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="float32", help="Keras dtype policy."
)
@click.option("--keep-hlo", is_flag=True, help="Keep XLA's optimized programs, as hlo/*.txt.")
@reports_folder("program", "New folder for the reports.")
def program(
    target_names: tuple[str, ...],
    shape_names: tuple[str, ...],
    model_names: tuple[str, ...],
    optimizer_texts: tuple[str, ...],
    batch_size: int,
    devices: int,
    shard_optimizer_state: bool,
    precision: str,
    keep_hlo: bool,
    output: Path | None,
) -> int:
    """Compile an update or a training step for a GPU, and count its kernels, bytes and memory.

    No GPU and no CUDA are needed. XLA compiles, on JAX, for the description of a GPU. Nothing is
    run, and only the compiler is timed.

    Writes programs.csv (one row for each program), environment.json and command.txt. The exit code
    is 1 if a program does not compile.
    """
    for name in target_names:
        targets.check_name(name)
    if not shape_names and not model_names:
        shape_names = ("resnet50",)
    for name in shape_names:
        shapes.check_name(name)
    for name in model_names:
        models.check_name(name)
    specs = [parse_optimizer(text) for text in optimizer_texts]
    for spec in specs:
        optimizers.entry(spec)
    checks.given_once(
        target=target_names, shapes=shape_names, model=model_names, optimizer=map(str, specs)
    )
    if model_names and batch_size % devices:
        raise InputError(
            f"cannot be shared among {devices} devices; a multiple of {devices} can",
            batch_size=batch_size,
        )
    if shard_optimizer_state and devices == 1:
        raise InputError("needs several devices", shard_optimizer_state=True, see=["devices"])
    checks.installed("jax")
    wheels.check_wheels()
    folder = output or checks.default_folder("program")
    if (folder / "programs.csv").exists():
        raise InputError("holds a report already; name a new folder", output=folder)

    from benchmarks import printing
    from benchmarks.commands import terminal
    from benchmarks.programs import compiler, series

    programs: list[tuple[str, str, int | None]] = [
        *((name, "update", None) for name in shape_names),
        *((name, "step", batch_size) for name in model_names),
    ]
    jobs = [
        compiler.Job(
            target, name, scope, str(spec), precision, images, devices, shard_optimizer_state
        )
        for target in target_names
        for name, scope, images in programs
        for spec in specs
    ]
    rows = series.compile_programs(jobs, folder, checks.command_line(), keep_hlo, print)
    if rows:
        printing.table(printing.console(), *terminal.programs(rows), names=3)
        print(folder / "programs.csv")
    return int(len(rows) < len(jobs))
