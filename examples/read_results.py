"""Read a folder of results with pandas: `python examples/read_results.py [FOLDER]`.

Without an argument, it reads a published folder: five optimizers on Fashion-MNIST, three seeds.
"""

import sys
from pathlib import Path

import pandas as pd

published = Path(__file__).parents[1] / "results" / "train_fashion_mnist"
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else published

# One row is one run: its options, its measurements and its machine.
runs = pd.read_csv(folder / "runs.csv")
runs["optimizer"] = runs["optimizer"].str.partition("(")[0]  # the name without the arguments
print(runs[["optimizer", "seed", "status", "test_accuracy", "step_ms_p50"]].to_string())

# The median over the seeds, and the range.
print(runs.groupby("optimizer")["test_accuracy"].agg(["median", "min", "max", "count"]))

# One row is one epoch of a run. Print the loss during training, one column for each optimizer.
epochs = pd.read_csv(folder / "epochs.csv").merge(runs[["run_id", "optimizer"]])
print(epochs.pivot_table(index="epoch", columns="optimizer", values="train_loss"))

# With the same seed, all optimizers start from the same weights and see the same images in the
# same order. So subtract seed by seed: this removes the effect of the seed.
by_seed = runs.pivot(index="seed", columns="optimizer", values="test_accuracy")
print(by_seed.sub(by_seed["adam"], axis="index"))
