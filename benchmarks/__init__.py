"""A benchmark harness for Keras optimizers: `python -m benchmarks --help`."""
