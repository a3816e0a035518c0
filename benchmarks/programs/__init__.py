"""What XLA makes of an update or a training step for a GPU that need not be there."""
