"""The user's request for a sweep, apart from its runs."""

import dataclasses
from pathlib import Path

from benchmarks.training.processes import ProcessGroup


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """The devices, workers and files of a sweep."""

    device: str | None = None
    """The device, "cpu" or "gpu"; None is the best one."""
    devices: int = 1
    """The number of devices that share each run."""
    data_dir: Path | None = None
    """The folder of the prepared data sets; None is TFDS's own folder."""
    manual_dir: Path | None = None
    """The folder with original files of data sets that are not prepared yet."""
    timeout: float | None = None
    """The seconds that a run may take."""
    accept_changes: bool = False
    """Whether a resumed sweep continues if data or code have changed."""
    save_weights: bool = False
    """Whether the best weights of each run are kept."""
    group: ProcessGroup | None = None
    """The processes that train together, if there are several."""
    cluster: str | None = None
    """The address of the Dask scheduler whose workers do the runs."""
    parallel: int | None = None
    """The number of workers on this machine that do the runs."""
