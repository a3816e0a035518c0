"""Writes runs into a folder, and compares them, in one line."""

from benchmarks.analysis import comparison
from benchmarks.analysis.selection import Selection
from benchmarks.store import csv_file, schema

RUN = {
    "status": "ok",
    "dataset": "digits",
    "model": "mlp",
    "backend": "tensorflow",
    "device": "cpu",
    "jit_compile": False,
    "batch_size": 32,
    "schedule": "constant",
    "epochs": 3,
    "learning_rate": 0.001,
    "cpu": "a processor",
    "commit": "abc",
}


def write(folder, optimizer, speeds, accuracies=(0.9, 0.91, 0.92), **columns):
    """Write a run for each speed, seeds 0, 1, ...; a list gives each run its own value."""
    folder.mkdir(exist_ok=True)
    rows = [
        RUN
        | {
            "run_id": f"{optimizer}-{seed}-{len(columns)}",
            "optimizer": optimizer,
            "seed": seed,
            "images_per_second": speed,
            "test_accuracy": accuracy,
        }
        | {k: v[seed] if isinstance(v, list) else v for k, v in columns.items()}
        for seed, (speed, accuracy) in enumerate(zip(speeds, accuracies, strict=True))
    ]
    csv_file.append(folder / "runs.csv", schema.RUNS, rows)
    return folder


def by_metric(comparisons):
    return {compared.metric.column: compared for compared in comparisons}


def within(folder, *arguments, **options):
    comparisons, warnings = comparison.within(folder, Selection(*arguments, **options))
    return by_metric(comparisons), warnings


def between(before, after, **options):
    comparisons, warnings = comparison.between(before, after, Selection(**options))
    return by_metric(comparisons), warnings


def write_pair(tmp_path, before, after, **columns):
    return (
        write(tmp_path / "before", "adam", before, [0.9] * len(before)),
        write(tmp_path / "after", "adam", after, [0.9] * len(after), **columns),
    )
