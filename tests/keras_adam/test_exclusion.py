"""The variables that `exclude_from_weight_decay` excludes."""

import re
import warnings

import keras
import pytest

import keras_adam


def decays(**exclusion):
    """Return the end of the path of each variable that decays."""
    layers = [keras.layers.LayerNormalization(name="norm"), keras.layers.Dense(3, name="head")]
    model = keras.Sequential([keras.Input((3,)), *layers], name="model")
    optimizer = keras_adam.AdamW(jit_compile=False)
    optimizer.exclude_from_weight_decay(**exclusion)
    optimizer.build(model.trainable_variables)
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    optimizer.learning_rate = 1.0
    optimizer.apply([keras.ops.zeros(v.shape) for v in model.trainable_variables])
    return [
        "/".join(v.path.split("/")[-2:])
        for v, was in zip(model.trainable_variables, before, strict=True)
        if (keras.ops.convert_to_numpy(v) != was).any()
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["norm"], ["head/kernel"]),
        (["norm/gamma"], ["head/kernel"]),
        (["gamma"], ["head/kernel"]),
        (["head"], ["norm/gamma"]),
        (["kernel$"], ["norm/gamma"]),
        (["gamma", "kernel"], []),
    ],
)
def test_names_are_looked_for_in_the_path(names, expected):
    """`beta` and `bias` are zero, so their decay is not visible."""
    assert decays(var_names=names) == expected


def test_a_name_that_is_found_nowhere_is_warned_of_with_the_names_that_there_are():
    with pytest.warns(UserWarning, match=re.escape("no variable has 'nrom' in its path")) as caught:
        decays(var_names=["nrom"])
    assert "model/norm/gamma" in str(caught[0].message)


def test_no_warning_without_a_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        decays(var_names=["norm"])
        decays(var_list=[])
