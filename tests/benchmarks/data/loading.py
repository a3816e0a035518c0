"""Loads batches in one line."""

from pathlib import Path
from typing import Any

from benchmarks.data import batches
from benchmarks.data.plan import Data
from benchmarks.run import RunConfig


def load(
    name: str,
    batch_size: int,
    seed: int,
    data_dir: Path | None,
    *,
    backend: str = "tensorflow",
    share: tuple[int, int] = (1, 0),
    **options: Any,
) -> Data:
    """Load the batches of a run; `options` are other fields of a `RunConfig`."""
    config = RunConfig(
        dataset=name,
        model="mlp",
        optimizer="adam",
        learning_rate=0.001,
        seed=seed,
        epochs=1,
        batch_size=batch_size,
        device="cpu",
        backend=backend,
        jit_compile="auto",
        **options,
    )
    return batches.load(config, data_dir, share)
