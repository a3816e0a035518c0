"""What the rows say: observations, statistics, verdicts."""
