"""The analysis of the rows: observations, statistics, verdicts."""
