import dataclasses

import pytest

from benchmarks.errors import InputError
from benchmarks.run import parse_optimizer


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("adam", "adam", {}),
        ("adam()", "adam", {}),
        (" adam ( beta_1 = 0.95 , amsgrad=True)", "adam", {"beta_1": 0.95, "amsgrad": True}),
        ("keras_adam(state_dtype=int8)", "keras_adam", {"state_dtype": "int8"}),
        (
            "adam(weight_decay=-1e-2, clipnorm=None)",
            "adam",
            {"weight_decay": -0.01, "clipnorm": None},
        ),
    ],
)
def test_an_optimizer_is_a_name_with_arguments_in_parentheses(text, name, arguments):
    spec = parse_optimizer(text)
    assert (spec.name, spec.arguments) == (name, arguments)


def test_equal_optimizers_are_spelled_alike_and_read_back():
    one, other = parse_optimizer("adam(b=1,a='x')"), parse_optimizer("adam( a = x , b = 1 )")
    assert str(one) == str(other) == "adam(a='x', b=1)"
    assert parse_optimizer(str(one)) == one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a name"),
        ("adam(beta_1=0.9", "expected a name"),
        ("adam(0.9)", "by name"),
        ("adam(**{'beta_1': 0.9})", "by name"),
        ("adam(beta_1=)", "wrong syntax"),
        ("adam(beta_1=__import__('os'))", "the value of beta_1"),
    ],
)
def test_a_malformed_optimizer_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_optimizer(text)


def test_the_run_id_is_that_of_the_configuration(config):
    # The ids are fixed, because --resume repeats a run if its id changes in a release.
    assert config.run_id == "85feed07ee4e"
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        changed = value + "x" if isinstance(value, str) else (value or 0) + 0.5
        assert dataclasses.replace(config, **{field.name: changed}).run_id != config.run_id
