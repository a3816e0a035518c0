"""What the terminal shows while a sweep runs."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column

from benchmarks.run import RunConfig
from benchmarks.store.csv_file import Row
from benchmarks.training import messages


class Display:
    """The progress of a sweep: a bar on a terminal, a plain line an epoch elsewhere.

    Used as a context manager around the sweep. Several runs may be at work at once.
    """

    def __init__(self, console: Console, runs: int) -> None:
        self._runs = runs
        self._numbers: dict[RunConfig, int] = {}
        self._done = 0
        self._begin = self._run_begin = time.monotonic()
        self._bar = Progress(
            # What is too long is cut, so that the rest has its place.
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
            disable=not console.is_terminal,
        )
        self._all = self._bar.add_task("runs", total=runs, left="")
        self._one = self._bar.add_task("", total=None, left="", visible=False)

    def __enter__(self) -> "Display":
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def start(self, config: RunConfig) -> None:
        """Show that a run begins."""
        self._numbers.setdefault(config, len(self._numbers) + 1)
        self._run_begin = time.monotonic()
        self._bar.update(self._all, description=str(config))
        self._bar.reset(self._one, description="starting", total=None, left="")

    def tell(self, config: RunConfig, message: messages.Progress | messages.Epoch) -> None:
        """Show how far the run is; print an epoch that has ended."""
        if isinstance(message, messages.Progress):
            self._progress(config, message)
            return
        row = message.row
        if "train_loss" in row:
            self._print(
                config,
                f"epoch {row['epoch']}/{config.epochs}, loss {row['train_loss']:.4f}, "
                f"accuracy {row['train_accuracy']:.4f}, test accuracy {row['test_accuracy']:.4f}",
            )

    def again(self, config: RunConfig, reason: str) -> None:
        """Print why a run will be done once more."""
        self._print(config, f"{reason}; it will be done again")

    def finish(self, config: RunConfig, run: Row) -> None:
        """Print how the run ended, and count it."""
        if run["status"] == "ok":
            speed = run.get("images_per_second")
            self._print(
                config,
                f"ok, test accuracy {run['test_accuracy']:.4f}"
                + (f", {speed:,.0f} images/s" if speed else ""),
            )
        else:
            self._print(config, f"{run['status']}: {run['error']}")
        self._done += 1
        self._bar.advance(self._all)

    def say(self, text: str) -> None:
        """Print a line."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _progress(self, config: RunConfig, progress: messages.Progress) -> None:
        steps = config.epochs * progress.steps
        if config.max_steps is not None:
            steps = min(steps, config.max_steps)
        step = (progress.epoch - 1) * progress.steps + progress.step
        self._bar.update(
            self._one,
            description=f"epoch {progress.epoch}/{config.epochs}, "
            f"loss {progress.loss:.4f}, accuracy {progress.accuracy:.4f}",
            completed=step,
            total=steps,
            left=time_left(time.monotonic() - self._run_begin, step / steps),
            visible=True,
        )
        share = (self._done + step / steps) / self._runs
        self._bar.update(self._all, left=time_left(time.monotonic() - self._begin, share))

    def _print(self, config: RunConfig, text: str) -> None:
        self.say(f"[{self._numbers[config]}/{self._runs}] {config}: {text}")


def time_left(seconds: float, share: float) -> str:
    """Say how long the rest takes if `share` of it took so many seconds."""
    if not share:
        return ""
    left = round(seconds * (1 - share) / share)
    hours, minutes = divmod(left // 60, 60)
    return f"{hours}:{minutes:02}:{left % 60:02} left"
