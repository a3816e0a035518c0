"""One training run, in a process of its own: what is done, watched and timed."""
