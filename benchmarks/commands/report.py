"""`report`: a page about a results folder."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write a page about the results in FOLDER, into it.

    report.html is one file that needs no other and no network; report.md says
    the same with the plots in PNG files beside it.
    """
    from benchmarks.reports import contents

    for path in contents.write(folder):
        print(path)
