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
    help="Folder of the prepared data sets. Default: TFDS's own, ~/tensorflow_datasets.",
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
    help="Device to compute on; gpu:1 is only the second GPU. Default: the GPU if there is one.",
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
        "a folder of images with train/CLASS/* and test/CLASS/*, or CLASS/* (grey and "
        "transparent images are converted to three colours), or package.module:function, "
        "which returns arrays, tf.data or a TFDS builder; see docs/own-data.md. Repeatable.",
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
    click.option(
        "--epochs", type=click.IntRange(min=1), default=10, help="Number of passes over the data."
    ),
    click.option(
        "--batch-size", type=click.IntRange(min=1), default=32, help="Number of images in a step."
    ),
    DEVICE,
    BACKEND,
    click.option(
        "--devices",
        type=click.IntRange(min=1),
        default=1,
        help="Number of devices of a machine that train one model; each takes its share of a "
        "batch. On a CPU they share its cores, which is useful for a try.",
    ),
    click.option(
        "--shard-optimizer-state",
        is_flag=True,
        help="Each device keeps only its share of the state of a keras_adam optimizer; JAX only. "
        "Other optimizers keep the whole state on each device.",
    ),
    click.option(
        "--processes",
        type=click.IntRange(min=1),
        default=1,
        help="Number of processes that train one model together, each on its own machine; JAX "
        "only.",
    ),
    click.option(
        "--process-id",
        type=click.IntRange(min=0),
        help="Number of this process. Process 0 chooses the runs and writes the reports; the "
        "others use only --devices, --device and the folders of the data from their own "
        "options.",
    ),
    click.option(
        "--coordinator",
        metavar="HOST:PORT",
        help="Address of process 0 with a free port, the same in all processes.",
    ),
    click.option(
        "--jit-compile",
        type=click.Choice(["auto", "true", "false"]),
        default="auto",
        help="Whether XLA compiles the training step, or torch.compile on torch; auto leaves it "
        "to Keras. The report says what Keras did.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(["constant", "cosine", "reduce-on-plateau"]),
        default="constant",
        help="Schedule of the learning rate: constant; cosine, which ends at 0; "
        "reduce-on-plateau, which reduces the rate to a fifth after three epochs without a "
        "better validation loss.",
    ),
    click.option(
        "--warmup-steps",
        type=click.IntRange(min=0),
        default=0,
        help="Steps in which the learning rate rises from 0, before the schedule begins; not with "
        "reduce-on-plateau.",
    ),
    click.option(
        "--target-accuracy",
        type=click.FloatRange(0, 1, min_open=True),
        help="Measure the steps and seconds until an epoch ends with this accuracy on the images "
        "held out by --validation, or on the test images if none are held out.",
    ),
    click.option(
        "--stop-at-target", is_flag=True, help="End a run after the epoch that reaches the target."
    ),
    click.option(
        "--max-steps",
        type=click.IntRange(min=1),
        help="End a run after at most this number of training steps.",
    ),
    click.option(
        "--steps-per-execution",
        type=click.IntRange(min=1),
        default=1,
        help="Training steps in one call of the compiled function.",
    ),
    click.option(
        "--augment",
        is_flag=True,
        help="Flip and shift the training images at random; only for colour images.",
    ),
    click.option(
        "--image-size",
        type=click.IntRange(min=1),
        help="Height and width to which all images are resized. Default: their own size, or 224 "
        "if their sizes differ.",
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
        "one thread per core, at most 16.",
    ),
    DATA_DIR,
    MANUAL_DIR,
    click.option(
        "--resume",
        is_flag=True,
        help="Continue in the folder --output: do the runs that have no result there, and failed "
        "runs again. An interrupted run continues from its last backup, made at the end of "
        "an epoch.",
    ),
    click.option(
        "--quiet",
        is_flag=True,
        help="Print only the folder of the reports, warnings and errors.",
    ),
    click.option(
        "--accept-changes",
        is_flag=True,
        help="With --resume: continue even if the data, or the code of a model or an optimizer, "
        "have changed. The earlier runs stay, as runs of another kind.",
    ),
    click.option(
        "--cluster",
        metavar="ADDRESS",
        help="Do the runs on the workers of the Dask scheduler at this address, one at a time on "
        "each; see docs/cluster.md.",
    ),
    click.option(
        "--parallel",
        type=click.IntRange(min=1),
        help="Do this number of runs at once on this machine, each on its own GPU if there are "
        "GPUs. Their timings are not compared.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        help="Seconds that a run may take, including its start and compilation.",
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
