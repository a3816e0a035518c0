"""The programs that XLA compiles from an update or a training step for a GPU."""
