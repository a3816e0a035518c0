"""`update`: times one optimizer update, its peers, and the memory."""

from pathlib import Path

import click

from benchmarks.commands import checks
from benchmarks.commands.options import BACKEND, DEVICE, reports_folder
from benchmarks.errors import InputError
from benchmarks.run import parse_optimizer
from benchmarks.updates import peers, shapes, training_step

DEFAULT_MODES = {"tensorflow": ("eager", "graph"), "jax": ("eager", "xla"), "torch": ("eager",)}
DEFAULT_PEERS = {"tensorflow": ("resource_apply_adam",), "jax": (), "torch": ("torch_fused",)}


@click.command()
@click.option(
    "--shapes",
    "shape_names",
    multiple=True,
    default=["efficientnet_b0", "resnet50"],
    help=f"Model whose trainable variables are updated: one of {', '.join(shapes.SHAPES)}; or "
    "COUNTxSIZE: 200x5000 is 200 variables of 5,000 numbers each. Repeatable.",
)
@click.option(
    "--optimizer",
    "optimizer_texts",
    multiple=True,
    default=None,
    help="Optimizer as for `train`, or one of these other implementations of Adam: "
    f"{', '.join(peers.PEERS)}. Repeatable. Default: keras_adam, adam, and the backend's own "
    "kernel.",
)
@click.option(
    "--mode",
    "modes",
    type=click.Choice([*peers.MODES, *training_step.MODES]),
    multiple=True,
    help="eager: called from Python; graph: in a tf.function; xla: in a step that XLA compiles; "
    "fit, fit_xla: the whole training step of the model, by default or with jit_compile=True, on a "
    f"batch of {training_step.BATCH_SIZE} images. "
    "Repeatable. Default: eager and graph; on JAX eager and xla, on PyTorch eager.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=10,
    help="Number of turns of each competitor.",
)
@click.option(
    "--repetitions",
    type=click.IntRange(min=1),
    default=5,
    help="Number of timed updates in each turn, after one that is not timed.",
)
@DEVICE
@BACKEND
@reports_folder("update", "New folder for the reports.")
def update(
    shape_names: tuple[str, ...],
    optimizer_texts: tuple[str, ...],
    modes: tuple[str, ...],
    rounds: int,
    repetitions: int,
    device: str | None,
    backend: str,
    output: Path | None,
) -> int:
    """Time one optimizer update, without a model, on the variables of real models.

    Every optimizer has its own process in every mode. The processes take turns, and one computes at
    a time. The memory bandwidth is measured in the same race, because it limits every optimizer.

    The modes fit and fit_xla time the training step of the model instead.

    Writes updates.csv (one row for each optimizer, mode and model; for training steps, steps.csv),
    updates_raw.csv (one row for each update), environment.json and command.txt. The exit code is 1
    if an optimizer failed.
    """
    for name in shape_names:
        shapes.check_name(name)
        if set(modes) & set(training_step.MODES) and name not in training_step.IMAGE_SHAPES:
            raise InputError(
                f"has no model to train in the modes {', '.join(training_step.MODES)}; valid are: "
                f"{', '.join(training_step.IMAGE_SHAPES)}",
                shapes=name,
            )
    optimizer_texts = optimizer_texts or ("keras_adam", "adam", *DEFAULT_PEERS[backend])
    specs = [str(parse_optimizer(text)) for text in optimizer_texts]
    checks.given_once(shapes=shape_names, optimizer=specs, mode=modes)
    checks.installed(backend)
    folder = output or checks.default_folder("update")
    if (folder / "updates_raw.csv").exists():
        raise InputError("holds a report already; name a new folder", output=folder)

    from benchmarks import printing
    from benchmarks.environment import peer_versions
    from benchmarks.store.folder import hold, open_folder
    from benchmarks.updates import competitors, race

    if not modes:
        modes = DEFAULT_MODES[backend]
    found, left_out = competitors.combine(specs, modes, backend)
    console = printing.console()
    for line in left_out:
        print(f"Left out: {line}.")
    console.print("Checking the device and the optimizers ...")
    checked, shapes_by_name = race.check_race(specs, shape_names, backend, device)
    plan = race.Plan(found, rounds, repetitions, checked.device, backend)
    competitors.check_memory(shapes_by_name, len(found), checked.device)
    with hold(folder):
        machine = checked.environment | {"peers": peer_versions()}
        open_folder(folder, checks.command_line(), machine)
        complete = race.hold_races(shapes_by_name, plan, folder, checked.environment, console)
    for name in ("updates.csv", "steps.csv", "updates_raw.csv"):
        if (folder / name).exists():
            print(folder / name)
    return int(not complete)
