"""`data list|prepare|verify`: data sets on this machine."""

from pathlib import Path

import click

from benchmarks.commands.options import DATA_DIR, MANUAL_DIR
from benchmarks.config import InputError


@click.group()
def data() -> None:
    """Bring data sets onto this machine, and check those that are here."""


@data.command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    required=True,
    help="TFDS name: name, name/config or name:version. Repeatable.",
)
@MANUAL_DIR
@DATA_DIR
def prepare(datasets: tuple[str, ...], manual_dir: Path | None, data_dir: Path | None) -> None:
    """Download a data set, or convert it from original files, once.

    Afterwards `train` reads it without a network; the prepared folder can be
    copied to another machine.
    """
    from benchmarks import worker

    messages = worker.run(
        "benchmarks.data:prepare_all",
        datasets,
        data_dir,
        manual_dir,
        backend="tensorflow",
        device="cpu",
    )
    for message in messages:
        if isinstance(message, worker.Failure):
            raise InputError(message.error)
        name, path = message
        print(f"{name}: {path}")


@data.command(name="list")
@DATA_DIR
def list_prepared(data_dir: Path | None) -> None:
    """Say which data sets are prepared, and where."""
    from benchmarks import prepared

    found = prepared.find(data_dir)
    for one in found:
        splits = ", ".join(f"{split} {records:,}" for split, records in one.splits.items())
        print(f"{one.name}: {splits}; {one.size_mb:,.1f} MB; {one.folder}")
    if not found:
        print(f"{prepared.root(data_dir)}: nothing is prepared")
    for path in prepared.leftovers(data_dir):
        print(f"{path}: of a preparation that was interrupted, unless it is still at work")


@data.command()
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    help="Name of a prepared data set. Repeatable. Default: all.",
)
@DATA_DIR
def verify(datasets: tuple[str, ...], data_dir: Path | None) -> int:
    """Read every record of prepared data sets, and say which files are damaged.

    Exit code 1 if one is.
    """
    from benchmarks import prepared, worker

    chosen = prepared.choose(prepared.find(data_dir), datasets)
    if not chosen:
        raise InputError(f"{prepared.root(data_dir)}: nothing is prepared")
    whole = True
    for message in worker.run(
        "benchmarks.prepared:verify", chosen, backend="tensorflow", device="cpu"
    ):
        if isinstance(message, worker.Failure):
            raise InputError(message.error)
        one, damage = message.prepared, message.damage
        if damage:
            whole = False
            print("\n".join([*damage, f"to mend {one.name}: {prepared.remedy(one)}"]))
        else:
            print(f"{one.name}: all {sum(one.splits.values()):,} records are whole; {one.folder}")
    return int(not whole)
