"""Numbers that are not Python numbers, or change at every step; options that change later."""

import itertools

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import MODES, assert_same_training, make_step, random_arrays
from tests.reference import ReferenceAdam

SHAPES = [(3, 4), (5,)]
NUMBERS = {
    "beta_1": 0.8,
    "beta_2": 0.9,
    "epsilon": 1e-3,
    "weight_decay": 0.1,
    "clipnorm": 0.5,
    "clipvalue": 0.3,
    "global_clipnorm": 0.5,
    "loss_scale_factor": 8.0,
}


def constant_schedule(value):
    return keras.optimizers.schedules.PiecewiseConstantDecay([10**6], [value, 0.0])


FORMS = {
    "tensor": lambda value: keras.ops.convert_to_tensor(value, "float32"),
    "variable": lambda value: keras.Variable(value, dtype="float32", trainable=False),
    "callable": lambda value: lambda: value,
    "callable_of_a_tensor": lambda value: lambda: keras.ops.convert_to_tensor(value, "float32"),
    "schedule": constant_schedule,
    "numpy": np.float32,
}


# Each number alone in one form, and in each form all that go together: those without a clip, and
# one of the clips.
CLIPS = ["clipnorm", "clipvalue", "global_clipnorm"]
WITHOUT_CLIP = [name for name in NUMBERS if name not in CLIPS]
CASES = [
    *(([name], form) for name, form in zip(NUMBERS, itertools.cycle(FORMS), strict=False)),
    *(
        ([*WITHOUT_CLIP, clip], form)
        for form, clip in zip(FORMS, itertools.cycle(CLIPS), strict=False)
    ),
]


@pytest.mark.parametrize(("names", "form"), CASES)
def test_numbers_in_any_form(names, form):
    values = {name: NUMBERS[name] for name in names}
    initial = [a.astype("float32") for a in random_arrays(SHAPES, 1)]
    reference = ReferenceAdam(learning_rate=0.01, **values).build(initial)
    variables = [keras.Variable(a) for a in initial]
    optimizer = keras_adam.Adam(
        0.01, **{name: FORMS[form](value) for name, value in values.items()}
    )
    for i in range(4):
        gradients = random_arrays(SHAPES, 100 + i)
        optimizer.apply([keras.ops.convert_to_tensor(g, "float32") for g in gradients], variables)
        reference.apply(gradients)
    # In float32, 0.8 and 0.9 are rounded by 1e-8; a step is 1e-2.
    assert_same_training(optimizer, reference, variables)
    copy = keras_adam.Adam.from_config(optimizer.get_config())
    for name, value in values.items():
        if not callable(getattr(copy, name)):
            np.testing.assert_allclose(getattr(copy, name), value, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_variables_are_read_at_every_step(mode):
    initial = [a.astype("float32") for a in random_arrays(SHAPES, 1)]
    reference = ReferenceAdam(learning_rate=0.01).build(initial)
    variables = [keras.Variable(a) for a in initial]
    numbers = {
        name: keras.Variable(NUMBERS[name], dtype="float32", trainable=False)
        for name in ["weight_decay", "clipnorm", "beta_2", "epsilon"]
    }
    optimizer = keras_adam.Adam(0.01, **numbers)
    if mode == "compiled" and keras.backend.backend() == "jax":
        pytest.skip("in `stateless_apply`, JAX reads only the variables that it is given")
    step = make_step(optimizer, variables, mode)
    for i in range(6):
        for name, number in numbers.items():
            value = np.float32(NUMBERS[name] * (1 - 0.1 * i))
            number.assign(value)
            setattr(reference, name, float(value))
        gradients = random_arrays(SHAPES, 100 + i)
        step([keras.ops.convert_to_tensor(g, "float32") for g in gradients])
        reference.apply(gradients)
    np.testing.assert_allclose(variables[0].numpy(), reference.variables[0], rtol=0, atol=5e-6)


def test_a_weight_decay_schedule_is_saved_with_its_class():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    copy = keras_adam.AdamW.from_config(keras_adam.AdamW(weight_decay=schedule).get_config())
    assert copy.weight_decay.get_config() == schedule.get_config()


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones(2, "float32"), ValueError, r"`{}` must be a scalar.*shape \(2,\)"),
        (np.array(True), TypeError, r"`{}` must be of a numeric dtype; received a tensor of bool"),
    ],
)
def test_a_tensor_that_is_no_number(name, value, error, message):
    with pytest.raises(error, match=message.format(name)):
        keras_adam.Adam(**{name: keras.ops.convert_to_tensor(value)})


@pytest.mark.parametrize("returned", [None, "fast"])
def test_a_callable_that_returns_no_number(returned):
    optimizer = keras_adam.Adam(weight_decay=lambda: returned)
    with pytest.raises(TypeError, match=rf"`weight_decay` must be, or return,.*{returned!r}"):
        optimizer.apply([np.ones(1, "float32")], [keras.Variable([1.0])])


def test_jit_compile_may_change_between_steps():
    variable = keras.Variable([1.0])
    optimizer = keras_adam.Adam(0.1, clipvalue=1.0)
    for compiled in (True, False, True):
        optimizer.jit_compile = compiled
        optimizer.apply([keras.ops.ones(1)], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.7], atol=1e-5)


def test_skip_nonfinite_may_be_switched_off_and_on_again():
    variable = keras.Variable([1.0])
    optimizer = keras_adam.Adam(0.1, skip_nonfinite=True)
    poison = keras.ops.convert_to_tensor([np.nan], "float32")
    optimizer.apply([poison], [variable])
    assert variable.numpy()[0] == 1.0
    optimizer.skip_nonfinite = False
    optimizer.apply([keras.ops.ones(1)], [variable])
    optimizer.skip_nonfinite = True
    optimizer.apply([poison], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.9], atol=1e-5)
    assert int(optimizer.skipped_steps) == 2


def test_skip_nonfinite_that_comes_too_late():
    optimizer = keras_adam.Adam()
    optimizer.build([keras.Variable([1.0])])
    with pytest.raises(ValueError, match="`skip_nonfinite` must be True before"):
        optimizer.skip_nonfinite = True


def test_lazy_may_change_but_not_beside_what_touches_all_rows():
    optimizer = keras_adam.Adam(use_ema=True)
    with pytest.raises(ValueError, match=r"`lazy=True` .* `use_ema=True`"):
        optimizer.lazy = True


class Halved(keras_adam.Adam):
    """A subclass as users write it for Keras's optimizers."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient / 2, variable, learning_rate)


class KerasHalved(keras.optimizers.Adam):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient / 2, variable, learning_rate)


def test_a_hook_that_a_subclass_overrides_is_called():
    ends = []
    for optimizer in (Halved(0.1, epsilon=1.0), KerasHalved(0.1, epsilon=1.0)):
        variable = keras.Variable([1.0])
        for _ in range(3):
            optimizer.apply([keras.ops.ones(1)], [variable])
        ends.append(variable.numpy())
    np.testing.assert_array_equal(*ends)


def test_a_hook_that_an_object_has_of_its_own_is_called():
    variable = keras.Variable([1.0])
    optimizer = keras_adam.Adam(0.1)
    optimizer._clip_gradients = lambda gradients: [gradient * 0 for gradient in gradients]
    optimizer.apply([keras.ops.ones(1)], [variable])
    assert variable.numpy()[0] == 1.0


@pytest.mark.parametrize("option", ["lazy", "skip_nonfinite"])
def test_what_only_the_compiled_update_does_is_refused_beside_such_a_hook(option):
    with pytest.raises(ValueError, match=rf"`{option}=True` .* `update_step`"):
        Halved(**{option: True})


def test_a_class_that_a_wrapper_makes_trains():
    """Wrappers such as Horovod's make a class with the dictionary of another class."""

    class Wrapper:
        def wraps(self):
            return True

    wrapped = type("Adam", (keras_adam.Adam,), dict(Wrapper.__dict__))
    optimizer = wrapped.from_config(keras_adam.Adam(0.5).get_config())
    variable = keras.Variable([1.0])
    optimizer.apply([keras.ops.ones(1)], [variable])
    assert optimizer.wraps()
    np.testing.assert_allclose(variable.numpy(), [0.5], rtol=0, atol=1e-5)


def test_a_hook_that_an_object_overrides_is_called():
    optimizer = keras_adam.Adam(0.5)
    called = []
    optimizer.update_step = lambda *arguments: called.append(arguments)
    optimizer.apply([keras.ops.ones(1)], [keras.Variable([1.0])])
    assert len(called) == 1
