"""Measures the published results again: `python -m benchmarks.publish.reproduce [NAME ...]`.

Every folder below results/ has its command in command.txt. The command is run with
results/anew/NAME in place of results/NAME, so that `compare` can compare both.
"""

import shlex
import subprocess
import sys
import time
from pathlib import Path

import click
import pandas as pd

ANEW = "anew"


def published(results: Path) -> dict[str, str]:
    """Return the command of each published folder, by its name."""
    return {file.parent.name: file.read_text() for file in sorted(results.glob("*/command.txt"))}


def measured_seconds(folder: Path) -> float | None:
    """Return the sum of the times in a folder, without starts; None if it has no times."""
    for file, columns in (
        ("runs.csv", ("train_seconds", "compile_seconds")),
        ("updates_raw.csv", ("seconds",)),
        ("programs.csv", ("compile_seconds",)),
    ):
        if (folder / file).exists():
            return float(pd.read_csv(folder / file)[list(columns)].sum().sum())
    return None


def fill(command: str, name: str, folders: dict[str, Path | None]) -> str | None:
    """Return the command for the new folder; None if it must be typed by hand.

    Raises:
        LookupError: the command needs one of `folders` that is not given.
    """
    if f"results/{name}" not in command:
        return None
    for word, folder in folders.items():
        if f" {word} " in command:
            if folder is None:
                raise LookupError(word)
            command = command.replace(f" {word} ", f" {shlex.quote(str(folder))} ")
    command = command.replace("python -m ", f"{shlex.quote(sys.executable)} -m ")
    return command.replace(f"results/{name}", f"results/{ANEW}/{name}").strip()


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder of the prepared data sets."
)
@click.option(
    "--manual-dir", type=click.Path(path_type=Path), help="Folder with original files of data sets."
)
def main(names: tuple[str, ...], data_dir: Path | None, manual_dir: Path | None) -> None:
    """Measure the folders NAMES below results/ again, or all of them."""
    results = Path("results")
    commands = published(results)
    if unknown := sorted(set(names) - set(commands)):
        raise click.UsageError(f"results/{unknown[0]}: no such folder with a command.txt")
    options = {"DATA": "--data-dir", "ORIGINALS": "--manual-dir"}
    failed = []
    for name in names or commands:
        try:
            command = fill(commands[name], name, {"DATA": data_dir, "ORIGINALS": manual_dir})
        except LookupError as error:
            click.echo(f"{name}: left out, it needs {options[str(error.args[0])]}")
            continue
        if command is None:
            click.echo(f"{name}: left out, its command.txt must be followed by hand")
            continue
        seconds = measured_seconds(results / name)
        expected = "" if seconds is None else f" (at least {seconds:,.0f} s)"
        click.echo(f"{name}{expected}: {command}")
        begin = time.monotonic()
        returncode = subprocess.run(command, shell=True).returncode
        took = time.monotonic() - begin
        click.echo(f"{name}: {'ok' if returncode == 0 else 'failed'} after {took:,.0f} s")
        if returncode:
            failed.append(name)
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
