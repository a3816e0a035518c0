"""The programs that XLA makes of an update or a training step for a GPU."""
