"""The temporary bytes of a step on PyTorch, counted."""

import itertools

import keras
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND

if BACKEND != "torch":
    pytest.skip("PyTorch's", allow_module_level=True)

import torch
from torch.profiler import ProfilerActivity, profile


def temporary_bytes(step, *arguments):
    """Return the peak memory of a step minus the memory at its start."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(*arguments)
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    assert events
    events.sort(key=lambda event: event.start_ns())
    return max(itertools.accumulate(event.nbytes() for event in events))


@pytest.mark.parametrize("options", [{}, {"amsgrad": True, "weight_decay": 0.1}], ids=str)
def test_a_plain_update_needs_no_memory(options):
    """Keras's Adam makes four copies of all parameters."""
    shapes = [(300, 400), (400,), (400, 50)]
    gradients = [torch.ones(shape) for shape in shapes]
    found = []
    for module in (keras_adam, keras.optimizers):
        variables = [keras.Variable(torch.ones(shape)) for shape in shapes]
        optimizer = module.Adam(**options)
        with torch.no_grad():
            optimizer.apply(gradients, variables)
            found.append(temporary_bytes(optimizer.apply, gradients, variables))
    ours, theirs = found
    assert ours < 10_000  # the scalars of a step
    assert theirs > 4 * sum(gradient.numel() for gradient in gradients)
