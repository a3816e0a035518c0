"""A walk through a folder of results with pandas. Give it a folder, or let it train a small one."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
else:
    folder = Path(tempfile.mkdtemp()) / "mine"
    command = "train --model mlp --optimizer keras_adam --optimizer adam --seeds 2 --epochs 3"
    subprocess.run(
        [sys.executable, "-m", "benchmarks", *command.split(), "--output", str(folder)], check=True
    )

# A row each run: what it was, what was measured, and on which machine.
runs = pd.read_csv(folder / "runs.csv")
print(runs[["optimizer", "seed", "status", "test_accuracy", "step_ms_p50"]].to_string())

# The median over the seeds, and how far they lie apart.
summary = runs.groupby("optimizer")["test_accuracy"].agg(["median", "min", "max", "count"])
print(summary)

# A row each epoch: the loss as it trained.
epochs = pd.read_csv(folder / "epochs.csv").merge(runs[["run_id", "optimizer", "seed"]])
curves = epochs.pivot_table(index="epoch", columns="optimizer", values="train_loss")
print(curves)

# Seed by seed, since the seeds are the same for both: the differences scatter less than the runs.
by_seed = runs.pivot(index="seed", columns="optimizer", values="test_accuracy")
print(by_seed.assign(difference=by_seed.iloc[:, 0] - by_seed.iloc[:, 1]))
