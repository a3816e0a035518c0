import numpy as np
import pytest

from benchmarks import models

SHAPES = [((8, 8, 1), 10), ((28, 28, 1), 10), ((32, 32, 3), 100)]


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize(("shape", "classes"), SHAPES)
def test_a_model_takes_any_image_and_returns_logits(name, shape, classes):
    model = models.build(name, shape, classes, seed=0)
    logits = np.asarray(model(np.ones((2, *shape), np.float32)))
    assert logits.shape == (2, classes)
    assert np.isfinite(logits).all()
    assert not np.allclose(logits.sum(axis=1), 1)  # no softmax


@pytest.mark.parametrize("name", models.MODELS)
def test_the_seed_sets_the_initial_weights(name):
    one, again, other = (
        models.build(name, (8, 8, 1), 10, seed).get_weights() for seed in (1, 1, 2)
    )
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        # 784*1000+1000 + 1000*500+500 + 500*100+100 + 100*10+10
        ("mlp", (28, 28, 1), 1_336_610),
        # 25*32+32 + 25*32*64+64 + 3136*1024+1024 + 1024*10+10
        ("2c2d", (28, 28, 1), 3_274_634),
        # "0.27 M" in table 6 of the paper; scales and shifts of the normalisation included
        ("resnet20", (32, 32, 3), 269_722 + 688 * 2),
    ],
)
def test_a_model_is_the_one_of_its_paper(name, shape, parameters):
    assert models.build(name, shape, 10, seed=0).count_params() == parameters
