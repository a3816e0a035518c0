"""The command line: `python -m benchmarks COMMAND`."""

import contextlib
import platform
import signal
import sys

import click

from benchmarks import signals
from benchmarks.commands import compare, data, program, report, train, tune, update, versions
from benchmarks.commands.options import option
from benchmarks.errors import InputError
from benchmarks.printing import leave_pipe

BROKEN_PIPE = 141
"""The exit code if the reader of the output closes it: 128 plus the number of SIGPIPE, 13."""


def versions_in_use() -> str:
    """Return the versions that a bug report should contain."""
    from benchmarks import environment

    packages = ("keras_adam", "keras", "tensorflow", "jax", "torch")
    found = {package: environment.version(package) or "not installed" for package in packages}
    found["python"] = platform.python_version()
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _print_versions(context: click.Context, _: click.Parameter, is_asked_for: bool) -> None:
    if is_asked_for:
        click.echo(versions_in_use())
        context.exit()


@click.group(context_settings={"show_default": True, "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Show the version and exit.",
)
def cli() -> None:
    """Compare Keras optimizers on real image data; the reports are CSV files."""


for command in (
    train.train,
    compare.compare,
    report.report,
    tune.tune,
    update.update,
    program.program,
    versions.versions,
    data.data,
):
    cli.add_command(command)


def main() -> int:
    """Run the command line; print an error of the user as one line on stderr."""
    try:
        with signals.as_interrupts():
            return int(cli(standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        return error.exit_code
    except InputError as error:
        click.echo(f"Error: {error.spell(option)}", err=True)
        return 2
    except BrokenPipeError:  # the reader has closed the output, as `head` does
        leave_pipe()
        return BROKEN_PIPE
    except (click.Abort, KeyboardInterrupt) as error:
        ended = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        number = ended.number if isinstance(ended, signals.EndedError) else signal.SIGINT
        name = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
        with contextlib.suppress(OSError):  # the terminal may be gone
            click.echo(f"Interrupted{name}.", err=True)
        return 128 + number


if __name__ == "__main__":
    sys.exit(main())
