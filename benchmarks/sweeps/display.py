"""What the terminal shows while a sweep runs."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.reports.csv_file import Row
from benchmarks.run import RunConfig
from benchmarks.training import messages


class Display:
    """The progress of a sweep: a bar on a terminal, a plain line an epoch elsewhere.

    Used as a context manager around the sweep.
    """

    def __init__(self, console: Console, runs: int) -> None:
        self._console = console
        self._runs = runs
        self._number = 0
        self._config: RunConfig | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._all = self._bar.add_task("runs", total=runs)
        self._one = self._bar.add_task("", total=None)

    def __enter__(self) -> "Display":
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def start(self, config: RunConfig) -> None:
        """Show that a run begins."""
        self._config = config
        self._number += 1
        self._bar.update(self._all, description=str(config))
        self._bar.reset(self._one, description="starting", total=None)

    def leave(self, config: RunConfig) -> None:
        """Show that another sweep does a run, or has done it."""
        self._config = config
        self._number += 1
        self._print("left to another sweep in this folder")
        self._bar.advance(self._all)

    def progress(self, progress: messages.Progress) -> None:
        """Show how far the run is."""
        assert self._config is not None
        self._bar.update(
            self._one,
            description=f"epoch {progress.epoch}/{self._config.epochs}, "
            f"loss {progress.loss:.4f}, accuracy {progress.accuracy:.4f}",
            completed=(progress.epoch - 1) * progress.steps + progress.step,
            total=self._config.epochs * progress.steps,
        )

    def epoch(self, row: Row) -> None:
        """Print the epoch, where there is no bar."""
        assert self._config is not None
        if not self._console.is_terminal and "train_loss" in row:
            self._print(
                f"epoch {row['epoch']}/{self._config.epochs}, loss {row['train_loss']:.4f}, "
                f"accuracy {row['train_accuracy']:.4f}, test accuracy {row['test_accuracy']:.4f}"
            )

    def finish(self, run: Row) -> None:
        """Print how the run ended, and count it."""
        if run["status"] == "ok":
            speed = run.get("images_per_second")
            self._print(
                f"ok, test accuracy {run['test_accuracy']:.4f}"
                + (f", {speed:,.0f} images/s" if speed else "")
            )
        else:
            self._print(f"{run['status']}: {run['error']}")
        self._bar.advance(self._all)

    def _print(self, text: str) -> None:
        line = f"[{self._number}/{self._runs}] {self._config}: {text}"
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
