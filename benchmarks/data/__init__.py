"""Data sets, from a name to batches."""
