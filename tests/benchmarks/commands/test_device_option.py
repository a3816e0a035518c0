"""`--device gpu:N`."""

import os

import click
import pytest

from benchmarks.commands.options import choose_device


@pytest.mark.parametrize(
    ("text", "visible", "device", "then"),
    [
        ("cpu", None, "cpu", None),
        ("gpu", "4,5", "gpu", "4,5"),
        ("gpu:1", None, "gpu", "1"),
        ("gpu:1", "4,5", "gpu", "5"),
    ],
)
def test_one_gpu_of_those_that_are_visible(text, visible, device, then, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert choose_device(None, None, text) == device
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == then
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("text", ["tpu", "gpu:", "gpu:x", "gpu:2"])
def test_bad_input(text, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with pytest.raises(click.BadParameter):
        choose_device(None, None, text)
