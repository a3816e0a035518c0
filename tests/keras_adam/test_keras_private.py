"""The private parts of Keras that we use."""

import keras
import pytest

import keras_adam
from keras_adam.keras_internals import KERAS_HOOKS, KERAS_PRIVATE


@pytest.mark.parametrize("name", KERAS_PRIVATE)
def test_keras_still_has_what_we_use(name):
    optimizer = keras.optimizers.Adam(amsgrad=True, use_ema=True, gradient_accumulation_steps=2)
    optimizer.build([keras.Variable([1.0])])
    assert hasattr(optimizer, name), (
        f"Keras {keras.__version__} has moved `Adam.{name}`, on which keras_adam rests"
    )


@pytest.mark.parametrize("name", KERAS_HOOKS)
def test_keras_still_has_the_hooks_that_we_honour(name):
    assert hasattr(keras.optimizers.Adam, name), (
        f"Keras {keras.__version__} has moved `Adam.{name}`, which keras_adam honours"
    )


def test_state_has_names_and_order_of_keras():
    options = {"amsgrad": True, "use_ema": True, "gradient_accumulation_steps": 2}
    variables = [keras.Variable([1.0], name="a"), keras.Variable([[1.0]], name="b")]
    names = []
    for module in (keras.optimizers, keras_adam):
        optimizer = module.Adam(**options, name="adam")
        optimizer.build(variables)
        names.append([(v.path, v.shape, v.dtype) for v in optimizer.variables])
    assert names[0] == names[1]


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_arguments_are_those_of_keras_with_ours_behind(name):
    import inspect

    def arguments(cls):
        return [
            (p.name, p.default)
            for p in inspect.signature(cls).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "name"  # "adam" before Keras 3.9
        ]

    ours, theirs = getattr(keras_adam, name), getattr(keras.optimizers, name)
    assert arguments(ours) == arguments(theirs)
    extra = [p for p in inspect.signature(ours).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert [(p.name, p.default) for p in extra] == [
        ("jit_compile", True),
        ("lazy", False),
        ("skip_nonfinite", False),
        ("state_dtype", None),
        ("master_weights", False),
    ]
