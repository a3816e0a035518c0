"""`data list|prepare|verify`: data sets on this machine."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.commands.options import BACKEND, DATA_DIR, MANUAL_DIR
from benchmarks.errors import InputError

if TYPE_CHECKING:
    from benchmarks.data.on_disk import Prepared


@click.group()
def data() -> None:
    """Prepare data sets on this machine, and check the prepared ones."""


@data.command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    required=True,
    help="TFDS name: name, name/config or name:version; or package.module:Builder. Repeatable.",
)
@BACKEND
@MANUAL_DIR
@DATA_DIR
def prepare(
    datasets: tuple[str, ...], backend: str, manual_dir: Path | None, data_dir: Path | None
) -> None:
    """Download a data set, or convert it from original files, once.

    Afterwards `train` reads it without a network. The prepared folder can be copied to another
    machine. The backends jax and torch need further files beside the others; `train` adds them too.
    """
    from benchmarks import worker

    messages = worker.run(
        "benchmarks.data.preparation:prepare_all",
        datasets,
        data_dir,
        manual_dir,
        backend,
        backend="tensorflow",
        device="cpu",
    )
    for message in messages:
        if isinstance(message, worker.Failure):
            raise message.as_input_error()
        name, path = message
        print(f"{name}: {path or 'made by its function, in memory'}")


@data.command(name="list")
@DATA_DIR
def list_prepared(data_dir: Path | None) -> None:
    """List the prepared data sets and their folders."""
    from benchmarks.data import on_disk

    found = on_disk.find(data_dir)
    for one in found:
        splits = ", ".join(f"{split} {records:,}" for split, records in one.splits.items())
        print(f"{one.name}: {splits}; {one.size_mb:,.1f} MB; {one.folder}")
    if not found:
        print(f"{on_disk.root(data_dir)}: nothing is prepared")
    for path in on_disk.leftovers(data_dir):
        print(f"{path}: left by an interrupted preparation, or used by one that still runs")


@data.command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    help="Name of a prepared data set, or image_folder:PATH. Repeatable. Default: all prepared.",
)
@DATA_DIR
def verify(datasets: tuple[str, ...], data_dir: Path | None) -> int:
    """Read every record or image of prepared data sets, and say which files are damaged.

    The exit code is 1 if a file is damaged.
    """
    from benchmarks import worker
    from benchmarks.data import on_disk

    folders = [name for name in datasets if name.startswith("image_folder:")]
    whole = _verify_folders(folders) if folders else True
    names = [name for name in datasets if name not in folders]
    if folders and not names:
        return int(not whole)
    chosen = on_disk.choose(on_disk.find(data_dir), names)
    if not chosen:
        raise InputError(f"{on_disk.root(data_dir)}: nothing is prepared")
    for message in worker.run(
        "benchmarks.data.on_disk:verify", chosen, backend="tensorflow", device="cpu"
    ):
        if isinstance(message, worker.Failure):
            raise message.as_input_error()
        one, damage = message.prepared, message.damage
        if damage:
            whole = False
            print("\n".join([*damage, f"to repair {one.name}: {_remedy(one)}"]))
        else:
            print(f"{one.name}: all {sum(one.splits.values()):,} records can be read; {one.folder}")
    return int(not whole)


def _verify_folders(names: list[str]) -> bool:
    """Say which images of folders are damaged; return whether none is."""
    from benchmarks import worker

    whole = True
    messages = worker.run(
        "benchmarks.data.image_folder:verify", names, backend="tensorflow", device="cpu"
    )
    for message in messages:
        if isinstance(message, worker.Failure):
            raise message.as_input_error()
        for line in message.damage:
            print(line)
        whole = whole and not message.damage
        readable = f"{message.images - len(message.damage):,} of {message.images:,} images"
        print(f"{message.name}: {readable} can be read")
        for note in message.notes:
            print(f"{message.name}: {note}")
        for kind, count in message.converted.items():
            print(f"{message.name}: {count:,} are {kind}, and are converted to three colours")
    return whole


def _remedy(prepared: "Prepared") -> str:
    """Return the commands that replace a damaged data set by a new one."""
    return (
        f"rm -r {shlex.quote(str(prepared.folder))} && python -m benchmarks data prepare "
        f"--dataset {prepared.name} --data-dir {shlex.quote(str(prepared.data_dir))}"
    )
