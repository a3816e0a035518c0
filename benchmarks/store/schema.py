"""The columns of the reports, and the words in them."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from benchmarks.run import RunConfig

Schema = Mapping[str, str]
"""Column names and their pandas data types, in the file's order; all types allow blanks."""

RESULTS = ("ok", "diverged")
"""The statuses of a run that has a result."""

STATUSES = (*RESULTS, "oom", "error", "timeout")

ENVIRONMENT: Schema = {
    "python": "string",
    "tensorflow": "string",
    "keras": "string",
    "keras_adam": "string",
    "backend_version": "string",
    "host": "string",
    "os": "string",
    "cpu": "string",
    "cores": "Int64",
    "memory_gb": "Float64",
    "gpu": "string",
    "xla_flags": "string",
    "tf32": "boolean",
    "deterministic": "boolean",
    "commit": "string",
    "dirty": "boolean",
    "started_at": "string",
}


def _option_columns() -> Schema:
    """Make a column from each field of `RunConfig`, so that no field is forgotten."""
    types = {str: "string", int: "Int64", float: "Float64", bool: "boolean"}
    hints = typing.get_type_hints(RunConfig)
    return {
        field.name: types[(*typing.get_args(hints[field.name]), hints[field.name])[0]]
        for field in dataclasses.fields(RunConfig)
    }


_COLUMNS: Schema = {**_option_columns(), "jit_compile": "boolean"}  # "auto" is resolved

OPTIONS: Schema = {name: kind for name, kind in _COLUMNS.items() if name != "target_accuracy"}
"""The options that determine a run, without the target. Runs are compared only if they differ in
nothing but optimizer, learning rate and seed."""

RUNS: Schema = {
    "run_id": "string",
    "status": "string",
    "error": "string",
    **OPTIONS,
    "train_images": "Int64",
    "validation_images": "Int64",
    "test_images": "Int64",
    "classes": "Int64",
    "params": "Int64",
    "images_per_second": "Float64",
    "step_ms_p50": "Float64",
    "step_ms_p90": "Float64",
    "step_ms_p99": "Float64",
    "compile_seconds": "Float64",
    "train_seconds": "Float64",
    "evaluation_seconds": "Float64",
    "wall_seconds": "Float64",
    "data_wait_fraction": "Float64",
    "inference_ms_p50": "Float64",
    "peak_memory_mb": "Float64",
    "optimizer_state_mb": "Float64",
    "test_accuracy": "Float64",
    "best_test_accuracy": "Float64",
    "target_accuracy": _COLUMNS["target_accuracy"],
    "steps_to_target": "Int64",
    "seconds_to_target": "Float64",
    "runs_on_host": "Int64",
    **ENVIRONMENT,
}

_FIRST = (
    *("dataset", "model", "optimizer", "seed", "backend", "device", "jit_compile"),
    *("batch_size", "learning_rate", "schedule", "epochs", "target_accuracy"),
)
"""The options that the first version had as columns."""

LATER: Mapping[str, Any] = {
    **{
        field.name: field.default
        for field in dataclasses.fields(RunConfig)
        if field.name not in _FIRST
    },
    **dict.fromkeys(("optimizer_state_mb", "runs_on_host", "host", "os", "memory_gb", "xla_flags")),
    **dict.fromkeys(("tf32", "deterministic", "evaluation_seconds", "wall_seconds")),
    **dict.fromkeys(("train_images", "validation_images", "test_images", "classes")),
}
"""The columns that an older report may lack, and their values at that time."""

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
    "evaluation_seconds": "Float64",
    "images_per_second": "Float64",
    "learning_rate": "Float64",
}

TRIALS: Schema = {
    "run_id": "string",
    "dataset": "string",
    "model": "string",
    "optimizer": "string",
    "trial": "Int64",
    "seed": "Int64",
    "parameters": "string",
    "status": "string",
    "val_accuracy": "Float64",
    "test_accuracy": "Float64",
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

STEPS: Schema = {
    "model": "string",
    "optimizer": "string",
    "mode": "string",
    "backend": "string",
    "device": "string",
    "batch_size": "Int64",
    "variables": "Int64",
    "params": "Int64",
    "step_ms_p50": "Float64",
    "step_ms_min": "Float64",
    "step_ms_p90": "Float64",
    "first_call_seconds": "Float64",
    "repetitions": "Int64",
    **ENVIRONMENT,
}

OVERHEAD: Schema = {
    "round": "Int64",
    "way": "string",
    "images_per_second": "Float64",
}

GRID: Schema = {
    "variables": "Int64",
    "params_each": "Int64",
    "mode": "string",
    "optimizer": "string",
    "update_ms_min": "Float64",
    "update_ms_p50": "Float64",
    "repetitions": "Int64",
}

UPDATES_RAW: Schema = {
    "shapes": "string",
    "optimizer": "string",
    "mode": "string",
    "phase": "string",
    "round": "Int64",
    "seconds": "Float64",
    "memory_mb": "Float64",
}

PROGRAMS: Schema = {
    "target": "string",
    "model": "string",
    "scope": "string",
    "optimizer": "string",
    "precision": "string",
    "batch_size": "Int64",
    "devices": "Int64",
    "shard_optimizer_state": "boolean",
    "kernels": "Int64",
    "kernels_of_update": "Int64",
    "copies": "Int64",
    "copied_bytes": "Int64",
    "bytes_per_parameter": "Float64",
    "argument_mb": "Float64",
    "temporary_mb": "Float64",
    "peak_mb": "Float64",
    "collectives": "Int64",
    "collective_bytes": "Int64",
    "compile_seconds": "Float64",
    **ENVIRONMENT,
}

FILES: Mapping[str, Schema] = {
    "runs.csv": RUNS,
    "epochs.csv": EPOCHS,
    "trials.csv": TRIALS,
    "updates.csv": UPDATES,
    "updates_raw.csv": UPDATES_RAW,
    "steps.csv": STEPS,
    "grid.csv": GRID,
    "overhead.csv": OVERHEAD,
    "programs.csv": PROGRAMS,
}
"""The files of a folder, and their columns."""
