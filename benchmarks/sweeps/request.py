"""What a user asks of a sweep beside its runs."""

import dataclasses
from pathlib import Path

from benchmarks.training.processes import ProcessGroup


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """On what the runs of a sweep are done, and with which files."""

    device: str | None = None
    """"cpu" or "gpu"; None is the best there is."""
    devices: int = 1
    """On which each run is divided."""
    data_dir: Path | None = None
    """Where prepared data sets lie; None is TFDS's own folder."""
    manual_dir: Path | None = None
    """The original files of data sets that are not prepared yet."""
    timeout: float | None = None
    """Seconds that a run may take."""
    accept_changes: bool = False
    """Whether a sweep that is resumed goes on with other data or code than it began with."""
    save_weights: bool = False
    """Whether the best weights of each run are kept."""
    group: ProcessGroup | None = None
    """The processes that train together, if several do."""
    cluster: str | None = None
    """Address of the Dask scheduler on whose workers the runs are done."""
    parallel: int | None = None
    """How many workers on this machine do the runs."""
