"""The CSV reports: one schema each, rows appended whole, read back with types."""

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.config import InputError, one_line

Schema = Mapping[str, str]
"""Column name to pandas data type, in the order of the file. Every type knows a missing value."""

Row = dict[str, Any]
"""Column name to value; a column that was not measured is None or left out."""

STATUSES = ("ok", "diverged", "oom", "error", "timeout")

ENVIRONMENT: Schema = {
    "python": "string",
    "tensorflow": "string",
    "keras": "string",
    "keras_adam": "string",
    "backend_version": "string",
    "cpu": "string",
    "cores": "Int64",
    "gpu": "string",
    "commit": "string",
    "dirty": "boolean",
    "started_at": "string",
}

RUNS: Schema = {
    "run_id": "string",
    "status": "string",
    "error": "string",
    "dataset": "string",
    "model": "string",
    "optimizer": "string",
    "seed": "Int64",
    "backend": "string",
    "device": "string",
    "jit_compile": "boolean",
    "batch_size": "Int64",
    "learning_rate": "Float64",
    "schedule": "string",
    "epochs": "Int64",
    "params": "Int64",
    "images_per_second": "Float64",
    "step_ms_p50": "Float64",
    "step_ms_p90": "Float64",
    "step_ms_p99": "Float64",
    "compile_seconds": "Float64",
    "train_seconds": "Float64",
    "data_wait_fraction": "Float64",
    "inference_ms_p50": "Float64",
    "peak_memory_mb": "Float64",
    "test_accuracy": "Float64",
    "best_test_accuracy": "Float64",
    "target_accuracy": "Float64",
    "steps_to_target": "Int64",
    "seconds_to_target": "Float64",
    **ENVIRONMENT,
}

EPOCHS: Schema = {
    "run_id": "string",
    "epoch": "Int64",
    "steps": "Int64",
    "train_loss": "Float64",
    "train_accuracy": "Float64",
    "val_loss": "Float64",
    "val_accuracy": "Float64",
    "test_loss": "Float64",
    "test_accuracy": "Float64",
    "seconds": "Float64",
    "images_per_second": "Float64",
    "learning_rate": "Float64",
}


UPDATES: Schema = {
    "shapes": "string",
    "optimizer": "string",
    "mode": "string",
    "backend": "string",
    "device": "string",
    "variables": "Int64",
    "params": "Int64",
    "update_ms_p50": "Float64",
    "update_ms_min": "Float64",
    "update_ms_p90": "Float64",
    "first_call_seconds": "Float64",
    "bytes_per_parameter": "Float64",
    "gb_per_second": "Float64",
    "bandwidth_limit_ms": "Float64",
    "state_bytes": "Int64",
    "repetitions": "Int64",
    **ENVIRONMENT,
}

UPDATES_RAW: Schema = {
    "shapes": "string",
    "optimizer": "string",
    "mode": "string",
    "phase": "string",
    "round": "Int64",
    "seconds": "Float64",
}


def append(path: Path, schema: Schema, rows: Iterable[Row]) -> None:
    """Append `rows` to the CSV file at `path`, with the header if the file is new.

    All rows are on the disk when this returns, or none of them is in the file.

    Raises:
        ValueError: a row has a column that the schema has not.
        InputError: the file cannot be written, or the disk is full.
    """
    rows = list(rows)
    unknown = {column for row in rows for column in row} - set(schema)
    if unknown:
        raise ValueError(f"{path.name} has no column {', '.join(sorted(unknown))}")
    frame = pd.DataFrame(rows, columns=list(schema)).astype(dict(schema))
    try:
        with path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            # Six digits are more than any measurement here is good for.
            text = frame.to_csv(index=False, header=size == 0, float_format="%.6g").encode()
            try:
                if file.write(text) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def read(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a CSV file that `append` wrote.

    Raises:
        InputError: the file is not there, or is not one of this schema.
    """
    try:
        frame = pd.read_csv(path, dtype=dict(schema))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {one_line(error)}") from error
    if list(frame.columns) != list(schema):
        raise InputError(f"{path}: expected the columns {', '.join(schema)}")
    if "status" in schema and not frame["status"].isin(STATUSES).all():
        raise InputError(f"{path}: a status is not one of {', '.join(STATUSES)}")
    return frame
