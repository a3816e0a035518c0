"""Bad input raises an error that names argument and value, before anything changes."""

import keras
import numpy as np
import pytest

import keras_adam


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"beta_1": 1.0}, ValueError, r"`beta_1` must be a number in \[0, 1\); received 1.0"),
        ({"beta_2": -0.1}, ValueError, r"`beta_2` must be a number in \[0, 1\); received -0.1"),
        ({"beta_2": "0.9"}, TypeError, r"`beta_2` must be .* received '0.9'"),
        ({"epsilon": 0.0}, ValueError, r"`epsilon` must be a finite number > 0; received 0.0"),
        ({"epsilon": None}, TypeError, r"`epsilon` must be a finite number > 0; received None"),
        ({"learning_rate": float("nan")}, ValueError, r"`learning_rate` .* received nan"),
        ({"learning_rate": -0.1}, ValueError, r"`learning_rate` .* received -0.1"),
        ({"learning_rate": "fast"}, TypeError, r"`learning_rate` .* received 'fast'"),
        ({"learning_rate": 1}, ValueError, r"`learning_rate` should be float.*learning_rate=1"),
        ({"weight_decay": -1.0}, ValueError, r"`weight_decay` .* received -1.0"),
        ({"clipnorm": -1.0}, ValueError, r"`clipnorm` .* received -1.0"),
        ({"loss_scale_factor": 0.0}, ValueError, r"`loss_scale_factor` .* received 0.0"),
        ({"gradient_accumulation_steps": 1}, ValueError, r"`gradient_accumulation_steps` .* 1\."),
        ({"gradient_accumulation_steps": 2.5}, ValueError, r"must be an integer >= 2"),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, ValueError, r"Only one of `clipnorm`"),
        ({"use_ema": True, "ema_momentum": 2.0}, ValueError, r"ema_momentum=2.0"),
        ({"jit_compile": "yes"}, TypeError, r"`jit_compile` must be True or False; received 'yes'"),
        ({"lazy": 1}, TypeError, r"`lazy` must be True or False; received 1"),
        ({"lazy": True, "use_ema": True}, ValueError, r"`lazy=True` .* `use_ema=True`"),
        (
            {"lazy": True, "gradient_accumulation_steps": 2},
            ValueError,
            r"`lazy=True` .* `gradient_accumulation_steps=2`",
        ),
        ({"momentum": 0.9}, ValueError, r"momentum"),
    ],
)
def test_constructor(arguments, error, message):
    with pytest.raises(error, match=message):
        keras_adam.Adam(**arguments)


def test_adamw_needs_a_decay():
    with pytest.raises(ValueError, match="`weight_decay` must be a float"):
        keras_adam.AdamW(weight_decay=None)


@pytest.mark.parametrize(
    ("make_gradients", "error", "message"),
    [
        (lambda: [np.ones((2, 2), "float32")], ValueError, "one gradient for each of the 2"),
        (
            lambda: [np.ones((2, 2), "float32"), np.ones((4,), "float32")],
            ValueError,
            r"'b' must have shape \(3,\); received \(4,\)",
        ),
        (
            lambda: [np.ones((2, 2), "int32"), np.ones((3,), "float32")],
            TypeError,
            r"'a' must have a floating dtype; received int32",
        ),
        (lambda: [None, None], ValueError, "No gradients provided for any variable"),
    ],
)
def test_gradients(make_gradients, error, message):
    variables = [keras.Variable(np.ones((2, 2)), name="a"), keras.Variable(np.ones(3), name="b")]
    optimizer = keras_adam.Adam(0.1)
    with pytest.raises(error, match=message):
        optimizer.apply(make_gradients(), variables)
    assert not optimizer.built
    assert int(optimizer.iterations) == 0
    for variable in variables:
        np.testing.assert_array_equal(variable.numpy(), np.ones(variable.shape))


def test_unknown_variable():
    optimizer = keras_adam.Adam(0.1)
    optimizer.build([keras.Variable([1.0])])
    stranger = keras.Variable([2.0], name="stranger")
    with pytest.raises(ValueError, match=r"Unknown variable:.*stranger"):
        optimizer.apply([np.ones(1, "float32")], [stranger])


def test_one_variable_twice():
    variables = [keras.Variable([2.0], name=name) for name in ("a", "twin")]
    optimizer = keras_adam.Adam(0.1)
    for _ in range(2):  # before it is built, and after
        with pytest.raises(ValueError, match=r"\['twin'\] come more than once in the call"):
            optimizer.apply([np.ones(1, "float32")] * 3, [*variables, variables[1]])
        assert [v.numpy().tolist() for v in variables] == [[2.0], [2.0]]
        assert int(optimizer.iterations) == 0
        optimizer.build(variables)


def test_no_variables_before_build():
    with pytest.raises(ValueError, match="needs `trainable_variables`"):
        keras_adam.Adam(0.1).apply([np.ones(1, "float32")])


def test_exclusion_from_weight_decay_that_comes_too_late():
    optimizer = keras_adam.AdamW(0.1)
    optimizer.build([keras.Variable([1.0], name="bias")])
    with pytest.raises(ValueError, match="must be called before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def test_names_that_exclude_nothing_as_an_error_leave_the_optimizer_as_it_was():
    optimizer = keras_adam.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_names=["bais"])
    for _ in range(2):
        with pytest.raises(UserWarning, match="no variable has 'bais' in its path"):
            optimizer.build([keras.Variable([1.0], name="bias")])
    assert not optimizer.built
    assert len(optimizer.variables) == 2
