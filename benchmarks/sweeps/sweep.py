"""The loop of a sweep, at any place, that shows and writes the results of its runs."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from benchmarks.run import RunConfig
from benchmarks.sweeps.display import Display
from benchmarks.sweeps.place import Begun, Done, Heard, Lost, Place
from benchmarks.sweeps.writer import Writer


def run_all(place: Place, configs: Sequence[RunConfig], folder: Path, display: Display) -> None:
    """Do every run at `place`; write each one into `folder` when it has ended.

    Raises:
        InputError: the runs that are left cannot be done, or `folder` cannot be written.
        ConnectionError: the place cannot be reached any more.
    """
    writer = Writer(folder)
    with contextlib.closing(place.do(configs, folder)) as events:
        for event in events:
            match event:
                case Begun(config):
                    display.start(config)
                case Heard(config, message):
                    display.tell(config, message)
                case Lost(config, reason):
                    display.again(config, reason)
                case Done(result):
                    writer.write(result)
                    display.finish(result.config, result.measured)
