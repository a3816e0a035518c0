"""`report`: a page about a folder of results."""

from pathlib import Path

import click

from benchmarks.errors import InputError


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the page. Default: FOLDER. With several FOLDERS the option is required; the "
    "new folder also gets the rows of all of them.",
)
def report(folders: tuple[Path, ...], output: Path | None) -> None:
    """Write a page about the results in FOLDER, or in several FOLDERS as one report.

    report.html needs no other file and no network. report.md has the same content, with the plots
    in SVG files beside it.
    """
    from benchmarks.reports import contents
    from benchmarks.store.merge import merge

    folder = folders[0]
    if len(folders) > 1:
        if output is None:
            raise InputError(
                f"{len(folders)} folders given: name a folder for the page with --output"
            )
        merge(folders, output)
        folder = output
    for path in contents.write(folder, output):
        print(path)
