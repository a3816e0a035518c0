"""The output on the terminal while a sweep runs."""

import dataclasses
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column

from benchmarks.printing import say, warn
from benchmarks.run import RunConfig
from benchmarks.store.csv_file import Row
from benchmarks.training import messages


@dataclasses.dataclass
class _AtWork:
    """A run that has begun but not ended."""

    begun: float
    first: tuple[float, int] | None = None
    """The time and the number of the first step that the run reported."""
    share: float = 0.0
    """The share of its steps that are done."""


class Display:
    """The progress of a sweep: a bar on a terminal, plain lines elsewhere.

    The name of a run is printed once, with its epochs below. Several runs may be at work at once,
    so the name is printed again after lines of another run. The display is a context manager around
    the sweep, and removes its bars at the end.
    """

    def __init__(self, console: Console, runs: int) -> None:
        self._console, self._runs = console, runs
        self._numbers: dict[RunConfig, int] = {}
        self._named: RunConfig | None = None
        self._at_work: dict[RunConfig, _AtWork] = {}
        self._done = 0
        self._begun = time.monotonic()
        self._bar = Progress(
            # A text that is too long is cut, so that the rest fits.
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bar.add_task("runs", total=runs, left="")
        self._one = self._bar.add_task("", total=None, left="", visible=False)

    def __enter__(self) -> "Display":
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the terminal."""
        self._bar.stop()

    def start(self, config: RunConfig) -> None:
        """Show that a run begins."""
        self._numbers.setdefault(config, len(self._numbers) + 1)
        self._at_work[config] = _AtWork(begun=time.monotonic())
        self._bar.update(self._all, description=str(config))
        self._bar.reset(self._one, description="starting", total=None, left="")

    def tell(self, config: RunConfig, message: messages.Progress | messages.Epoch) -> None:
        """Show the progress of the run; print an epoch that has ended."""
        if isinstance(message, messages.Progress):
            self._progress(config, message)
            return
        row = message.row
        if message.restored:
            self._print(config, f"epoch {row['epoch']}/{config.epochs} was trained before")
        elif "train_loss" in row:
            self._print(
                config,
                f"epoch {row['epoch']}/{config.epochs}, loss {row['train_loss']:.4f}, "
                f"accuracy {row['train_accuracy']:.4f}, "
                + (f"val accuracy {row['val_accuracy']:.4f}, " if "val_accuracy" in row else "")
                + f"test accuracy {row['test_accuracy']:.4f}",
            )

    def again(self, config: RunConfig, reason: str) -> None:
        """Print why a run is done again."""
        self._at_work.pop(config, None)
        self._print(config, f"{reason}; it will be done again")

    def finish(self, config: RunConfig, run: Row) -> None:
        """Print how the run ended, and count it."""
        if run["status"] == "ok":
            speed = run.get("images_per_second")
            self._print(
                config,
                f"ok, test accuracy {run['test_accuracy']:.4f}"
                + (f", {speed:,.0f} images/s" if speed else "")
                + (f". {run['error']}" if run.get("error") else ""),
            )
        elif self._console.quiet:
            warn(f"{config}: {run['status']}: {run['error']}")
        else:
            self._print(config, f"{run['status']}: {run['error']}")
        self._done += 1
        self._at_work.pop(config, None)
        self._bar.advance(self._all)

    def _progress(self, config: RunConfig, progress: messages.Progress) -> None:
        steps = config.epochs * progress.steps
        if config.max_steps is not None:
            steps = min(steps, config.max_steps)
        step = (progress.epoch - 1) * progress.steps + progress.step
        run = self._at_work.setdefault(config, _AtWork(begun=time.monotonic()))
        run.share = step / steps
        left = self._seconds_left(run, step, steps)
        self._bar.update(
            self._one,
            description=f"epoch {progress.epoch}/{config.epochs}, "
            f"loss {progress.loss:.4f}, accuracy {progress.accuracy:.4f}",
            completed=step,
            total=steps,
            left=time_left(left),
            visible=True,
        )
        self._bar.update(self._all, left=time_left(self._seconds_left_of_all(run, left)))

    def _seconds_left(self, run: _AtWork, step: int, steps: int) -> float | None:
        """Return the remaining seconds of the run; None before it has reported steps twice."""
        now = time.monotonic()
        if run.first is None:
            run.first = now, step
        then, first = run.first
        return (now - then) / (step - first) * (steps - step) if step > first else None

    def _seconds_left_of_all(self, run: _AtWork, left: float | None) -> float | None:
        now = time.monotonic()
        if self._done:
            share = (self._done + sum(one.share for one in self._at_work.values())) / self._runs
            return (now - self._begun) * (1 - share) / share
        if left is None:
            return None
        # Assume that as many runs as now are at work at once, and that each takes as long as this.
        whole = now - run.begun + left
        return max(left, whole * self._runs / len(self._at_work) - (now - self._begun))

    def _print(self, config: RunConfig, text: str) -> None:
        if config != self._named:
            say(self._console, f"[{self._numbers[config]}/{self._runs}] {config}")
            self._named = config
        say(self._console, text, indent=2)


def time_left(seconds: float | None) -> str:
    """Return a remaining time as text; nothing if it is not known."""
    if seconds is None:
        return ""
    left = round(seconds)
    return f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
