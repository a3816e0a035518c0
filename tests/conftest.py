"""What a reader of the tests' output is to know."""

import os


def pytest_report_header():
    if os.environ.get("KERAS_BACKEND") == "torch":
        return "Keras runs on PyTorch"
    return "Keras on PyTorch is skipped here: `make test-torch` tests it"
