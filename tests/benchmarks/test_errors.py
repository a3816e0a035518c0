import pickle
from pathlib import Path

import pytest

from benchmarks.commands.options import option
from benchmarks.errors import InputError, one_line


@pytest.mark.parametrize(
    ("error", "python", "command_line"),
    [
        (InputError("wrong"), "wrong", "wrong"),
        (
            InputError("too large", batch_size=9),
            "batch_size 9: too large",
            "--batch-size 9: too large",
        ),
        (InputError("none", output=Path("a")), "output 'a': none", "--output 'a': none"),
        (InputError("no colours", augment=True), "augment: no colours", "--augment: no colours"),
        (
            InputError("not here", dataset="x", see=["data_dir", "manual_dir"]),
            "dataset 'x': not here; see data_dir, manual_dir",
            "--dataset 'x': not here; see --data-dir, --manual-dir",
        ),
    ],
)
def test_the_command_line_alone_speaks_of_options(error, python, command_line):
    for same in (error, pickle.loads(pickle.dumps(error))):
        assert str(same) == python
        assert same.spell(option) == command_line


def test_an_error_becomes_one_bounded_line():
    line = one_line(ValueError("first\n\n  second " + "word " * 1000))
    assert line.startswith("ValueError: first second word")
    assert len(line) <= 400
