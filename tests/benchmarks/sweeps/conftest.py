import pytest

from benchmarks.sweeps.plan import configurations


@pytest.fixture
def configs():
    """Return configurations of three seeds with two optimizers each."""
    return configurations(
        ["digits"],
        ["mlp"],
        [("adam", 0.001), ("sgd", 0.1)],
        3,
        epochs=1,
        batch_size=32,
        device="cpu",
        backend="tensorflow",
        jit_compile="auto",
    )
