"""One training run in its own process: how it is done, watched and timed."""
