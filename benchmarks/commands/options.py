"""Options that several commands share."""

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.models import MODELS
from benchmarks.names import BACKENDS

DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where prepared data sets lie. Default: TFDS's own, ~/tensorflow_datasets.",
)
MANUAL_DIR = click.option(
    "--manual-dir",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder with the original files of a data set that is not prepared yet; "
    "they are checked against TFDS's checksums.",
)


def choose_device(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return "cpu" or "gpu" for `cpu`, `gpu` or `gpu:N`; `gpu:N` hides the other GPUs."""
    match = re.fullmatch(r"(cpu|gpu)|gpu:(\d+)", value or "cpu")
    if match is None:
        raise click.BadParameter(f"{value!r} is not one of cpu, gpu, gpu:0, gpu:1, ...")
    if match[2] is None:
        return value
    number = int(match[2])
    visible = [text for text in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if text]
    if visible and number >= len(visible):
        raise click.BadParameter(f"{value!r}, but CUDA_VISIBLE_DEVICES names {len(visible)} GPUs")
    # All processes that compute inherit this environment.
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[number] if visible else match[2]
    return "gpu"


DEVICE = click.option(
    "--device",
    metavar="[cpu|gpu|gpu:N]",
    callback=choose_device,
    help="Where to compute; gpu:1 is the second GPU alone. Default: the GPU if there is one.",
)
BACKEND = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="tensorflow",
    help="Keras backend.",
)

SHARED = (
    click.option(
        "--dataset",
        "datasets",
        multiple=True,
        default=["digits"],
        help="TFDS image classification data set (digits needs no network), or image_folder:PATH, "
        "a folder of images, train/CLASS/* and test/CLASS/*, or CLASS/*; those in grey or with "
        "transparency become three colours; or package.module:function, which returns arrays, "
        "tf.data or a TFDS builder; see docs/own-data.md. Repeatable.",
    ),
    click.option(
        "--model",
        "models",
        multiple=True,
        default=["2c2d"],
        help=f"One of {', '.join(MODELS)}, keras.applications:NAME, or package.module:function, "
        "which takes the shape of an image and the number of classes and returns a Keras model. "
        "Repeatable.",
    ),
    click.option("--epochs", type=click.IntRange(min=1), default=10, help="Passes over the data."),
    click.option("--batch-size", type=click.IntRange(min=1), default=32, help="Images a step."),
    DEVICE,
    BACKEND,
    click.option(
        "--devices",
        type=click.IntRange(min=1),
        default=1,
        help="On how many devices of a machine to train one model; each takes its share of a "
        "batch. On a CPU they share its cores, to try it out.",
    ),
    click.option(
        "--shard-optimizer-state",
        is_flag=True,
        help="Each of several devices keeps only its share of the state of a keras_adam optimizer; "
        "JAX only. Others keep all of it on each.",
    ),
    click.option(
        "--processes",
        type=click.IntRange(min=1),
        default=1,
        help="How many processes train one model together, each on a machine of its own; JAX only.",
    ),
    click.option(
        "--process-id",
        type=click.IntRange(min=0),
        help="Which of them this is. Process 0 says what is trained, and writes the reports; the "
        "others take only --devices, --device and the folders of the data from their own options.",
    ),
    click.option(
        "--coordinator",
        metavar="HOST:PORT",
        help="Address of process 0, a free port of it, for all of them.",
    ),
    click.option(
        "--jit-compile",
        type=click.Choice(["auto", "true", "false"]),
        default="auto",
        help="Whether XLA compiles the training step, or torch.compile on torch; auto leaves it to "
        "Keras. The report says what it came to.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(["constant", "cosine", "reduce-on-plateau"]),
        default="constant",
        help="Of the learning rate: constant; cosine, down to 0 at the end; reduce-on-plateau, a "
        "fifth after three epochs without a better validation loss.",
    ),
    click.option(
        "--warmup-steps",
        type=click.IntRange(min=0),
        default=0,
        help="In which the learning rate rises from 0, before the schedule begins; not with "
        "reduce-on-plateau.",
    ),
    click.option(
        "--target-accuracy",
        type=click.FloatRange(0, 1, min_open=True),
        help="Measure the steps and seconds until the accuracy is that high after an epoch: on the "
        "images held out by --validation, or on the test images if none are.",
    ),
    click.option(
        "--stop-at-target", is_flag=True, help="End a run when it has reached the target."
    ),
    click.option(
        "--max-steps",
        type=click.IntRange(min=1),
        help="End a run after so many training steps, if it has so many.",
    ),
    click.option(
        "--steps-per-execution",
        type=click.IntRange(min=1),
        default=1,
        help="Training steps that one call of the compiled function makes.",
    ),
    click.option(
        "--augment", is_flag=True, help="Flip and shift the training images at random; colour only."
    ),
    click.option(
        "--image-size",
        type=click.IntRange(min=1),
        help="Height and width to bring all images to. Default: their own; 224 for a set "
        "whose images differ in size.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]),
        default="float32",
        help="Keras dtype policy.",
    ),
    click.option(
        "--data-workers",
        type=click.IntRange(min=1),
        help="Threads that read and decode the data. Default: tf.data decides; on jax and torch, "
        "one each core, and at most 16.",
    ),
    DATA_DIR,
    MANUAL_DIR,
    click.option(
        "--resume",
        is_flag=True,
        help="Go on in the folder --output: do the runs that have no result there, failed ones "
        "again; one that was interrupted goes on from its last backup, of an epoch's end.",
    ),
    click.option(
        "--quiet",
        is_flag=True,
        help="Print only where the reports are, warnings and errors.",
    ),
    click.option(
        "--accept-changes",
        is_flag=True,
        help="With --resume: go on although the data, or the code of a model or an optimizer, are "
        "others than before. The runs of before stay, as runs of another kind.",
    ),
    click.option(
        "--cluster",
        metavar="ADDRESS",
        help="Do the runs on the workers of the Dask scheduler there, one at a time on each; see "
        "docs/cluster.md.",
    ),
    click.option(
        "--parallel",
        type=click.IntRange(min=1),
        help="Do so many runs at once on this machine, on a GPU each if it has any. Their timings "
        "are not compared.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        help="Seconds that a run may take, start and compilation included.",
    ),
)
"""The options of every command that trains."""

WHERE = (
    *("device", "data_dir", "manual_dir", "timeout", "cluster", "parallel"),
    *("coordinator", "process_id", "accept_changes"),
)
"""The options that say where and how long runs are done. They do not change a run."""


def option(argument: str) -> str:
    """Return the command line option that sets an argument of the Python code."""
    return "--" + argument.replace("_", "-")


def shared(command: Any) -> Any:
    """Give `command` the options of all commands that train; those of `WHERE` come as `where`."""

    @functools.wraps(command)
    def gather(*arguments: Any, **options: Any) -> Any:
        where = {name: options.pop(name) for name in WHERE}
        return command(*arguments, where=where, **options)

    for option in reversed(SHARED):
        gather = option(gather)
    return gather


def reports_folder(command: str, which: str) -> Callable[[Any], Any]:
    """Return the option --output of a command, with help that says which folder it may be."""
    return click.option(
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"{which} Default: results/{command}-DATE-TIME.",
    )
