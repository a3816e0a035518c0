import inspect

import keras
import pytest

from benchmarks.errors import InputError
from benchmarks.optimizers import OPTIMIZERS, build, learning_rate
from benchmarks.run import parse_optimizer


class Inheriting(keras.optimizers.Optimizer):
    """An optimizer without its own constructor."""


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_name_builds_and_updates(name):
    spec = parse_optimizer(name)
    optimizer = build(spec, learning_rate(spec, None))
    variable = keras.Variable([1.0])
    optimizer.apply([keras.ops.ones(1)], [variable])
    assert float(optimizer.learning_rate) == pytest.approx(OPTIMIZERS[name].learning_rate)
    assert 0 < float(variable.value[0]) < 1


WRAPPERS = {"optimizer", "lossscaleoptimizer", "multioptimizer"}
"""Classes of keras.optimizers that take other optimizers, and their base."""


def test_every_optimizer_of_keras_has_its_name_and_default_rate():
    classes = {
        name.lower(): optimizer
        for name, optimizer in vars(keras.optimizers).items()
        if isinstance(optimizer, type) and issubclass(optimizer, keras.optimizers.Optimizer)
    }
    assert classes.keys() - WRAPPERS <= OPTIMIZERS.keys()
    for name in classes.keys() - WRAPPERS - {"sgd"}:
        rate = inspect.signature(classes[name]).parameters["learning_rate"].default
        assert OPTIMIZERS[name].learning_rate == rate, name


def test_arguments_arrive_over_those_of_the_name():
    assert build(parse_optimizer("momentum"), 0.1).momentum == 0.9
    optimizer = build(parse_optimizer("nesterov(momentum=0.5)"), 0.1)
    assert (optimizer.momentum, optimizer.nesterov) == (0.5, True)


def test_the_learning_rate_in_parentheses_wins():
    assert learning_rate(parse_optimizer("adam"), None) == 0.001
    assert learning_rate(parse_optimizer("adam"), 0.5) == 0.5
    assert learning_rate(parse_optimizer("adam(learning_rate=2)"), 0.5) == 2


@pytest.mark.parametrize("rate", ["0", "-1", "1e999", "fast", "None"])
def test_a_learning_rate_is_a_number_above_0(rate):
    with pytest.raises(InputError, match="not a number above 0"):
        learning_rate(parse_optimizer(f"adam(learning_rate={rate})"), None)


def test_an_optimizer_of_ones_own_by_its_import_path():
    spec = parse_optimizer("keras.optimizers:Lion(beta_1=0.95)")
    assert build(spec, learning_rate(spec, 0.5)).beta_1 == 0.95
    with pytest.raises(InputError, match="give its learning rate"):
        learning_rate(spec, None)


def test_an_optimizer_takes_the_arguments_that_it_hands_on():
    here = f"{__name__}:Inheriting"
    optimizer = build(parse_optimizer(f"{here}(learning_rate=0.5, clipnorm=2.0)"), 0.5)
    assert optimizer.clipnorm == 2.0
    with pytest.raises(InputError, match="no argument 'clip_norm'; did you mean clipnorm"):
        build(parse_optimizer(f"{here}(clip_norm=2.0)"), 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere:Lion", "'nowhere:Lion': ModuleNotFoundError"),
        ("keras.optimizers:Lyon", "has no attribute 'Lyon'"),
        ("keras.layers:Dense", "not a keras.optimizers.Optimizer"),
        ("adm", "did you mean adam"),
        ("adam(beta1=0.9)", "no argument 'beta1'; did you mean beta_1"),
        ("sgd(momentum=2)", "momentum"),
    ],
)
def test_what_an_optimizer_does_not_take_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        build(parse_optimizer(text), 0.1)
