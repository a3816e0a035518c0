"""Options that the parity table cannot hold: exclusions, schedules, callables, subsets, skips."""

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import MODES, make_step, random_arrays, state
from tests.reference import ReferenceAdam

SHAPES = [(3, 4), (5,)]


def variables(names=("kernel", "bias")):
    return [
        keras.Variable(a, name=n, dtype="float32")
        for a, n in zip(random_arrays(SHAPES, 1), names, strict=True)
    ]


def gradients(seed):
    return [keras.ops.convert_to_tensor(g.astype("float32")) for g in random_arrays(SHAPES, seed)]


def reference(initial, **options):
    return ReferenceAdam(**options).build([v.numpy() for v in initial])


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=0, atol=5e-6)


def test_variables_excluded_from_weight_decay():
    ours = variables()
    theirs = reference(ours, learning_rate=0.01, weight_decay=0.5, no_decay={1})
    optimizer = keras_adam.AdamW(0.01, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    step = make_step(optimizer, ours)
    for i in range(10):
        step(gradients(i))
        theirs.apply(gradients(i))
    assert_same(ours, theirs)


@pytest.mark.parametrize("mode", MODES)
def test_schedule_follows_the_calls(mode):
    ours = variables()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)
    theirs = reference(ours)
    step = make_step(keras_adam.Adam(schedule), ours, mode)
    for i in range(10):
        theirs.learning_rate = 0.01 * 0.5 ** (i / 2)
        step(gradients(i))
        theirs.apply(gradients(i))
    assert_same(ours, theirs)


def test_callables_are_called_at_each_step():
    """Keras documents callable betas, but never calls them."""
    now = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99}
    ours = variables()
    theirs = reference(ours, **now)
    optimizer = keras_adam.Adam(**{k: (lambda k=k: now[k]) for k in now})
    step = make_step(optimizer, ours)
    for i in range(10):
        if i == 5:
            now |= {"learning_rate": 0.02, "beta_1": 0.5}
            theirs.learning_rate, theirs.beta_1 = 0.02, 0.5
        step(gradients(i))
        theirs.apply(gradients(i))
    assert_same(ours, theirs)


def test_betas_may_be_tensors():
    ours = variables()
    theirs = reference(ours, learning_rate=0.01, beta_1=0.8, beta_2=0.95)
    optimizer = keras_adam.Adam(
        0.01, beta_1=keras.ops.convert_to_tensor(0.8), beta_2=keras.Variable(0.95)
    )
    step = make_step(optimizer, ours)
    for i in range(10):
        step(gradients(i))
        theirs.apply(gradients(i))
    assert_same(ours, theirs)


def test_attributes_set_during_training_take_effect():
    ours = variables()
    theirs = reference(ours, learning_rate=0.01)
    optimizer = keras_adam.Adam(0.01)
    step = make_step(optimizer, ours)
    for i in range(8):
        if i == 4:
            optimizer.learning_rate = theirs.learning_rate = 0.005
            optimizer.beta_1 = theirs.beta_1 = 0.5
            optimizer.weight_decay = theirs.weight_decay = 0.1
        step(gradients(i))
        theirs.apply(gradients(i))
    assert_same(ours, theirs)


def test_missing_gradients_and_changing_sets_of_variables():
    ours = variables()
    theirs = reference(ours, learning_rate=0.01, use_ema=True)
    optimizer = keras_adam.Adam(0.01, use_ema=True)
    optimizer.build(ours)
    for i, present in enumerate([(True, True), (True, False), (False, True), (True, True)]):
        some = [g if p else None for g, p in zip(gradients(i), present, strict=True)]
        if i == 2:  # a frozen variable: not passed at all
            optimizer.apply(some[1:], ours[1:])
        elif None in some:
            with pytest.warns(UserWarning, match="Gradients do not exist"):
                optimizer.apply(some, ours)
        else:
            optimizer.apply(some, ours)
        theirs.apply(some)
    assert_same(ours, theirs)
    for a, b in zip(state(optimizer, "average"), theirs.average, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-6)


def test_variables_in_another_order_than_built():
    ours = variables()
    theirs = reference(ours, learning_rate=0.01)
    optimizer = keras_adam.Adam(0.01)
    optimizer.build(ours)
    for i in range(3):
        optimizer.apply(gradients(i)[::-1], ours[::-1])
        theirs.apply(gradients(i))
    assert_same(ours, theirs)


def test_constraints_hold_after_the_step():
    variable = keras.Variable([0.005, 1.0])
    variable.constraint = keras.constraints.NonNeg()
    keras_adam.Adam(0.01).apply([keras.ops.ones((2,))], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.0, 0.99], atol=1e-6)


def test_a_variable_that_its_gradient_overwrites():
    scale, weight = keras.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0])
    scale.overwrite_with_gradient = True
    optimizer = keras_adam.Adam(0.01, use_ema=True)
    optimizer.apply([keras.ops.ones((2,)) * 7, keras.ops.ones((2,))], [scale, weight])
    np.testing.assert_array_equal(scale.numpy(), [7.0, 7.0])
    np.testing.assert_allclose(weight.numpy(), [0.99, 1.99], atol=1e-6)


def test_average_moves_once_an_update_under_accumulation():
    """Keras moves it at every micro-batch, four times as often."""
    ours = variables()
    options = {"use_ema": True, "ema_momentum": 0.5, "gradient_accumulation_steps": 4}
    theirs = reference(ours, learning_rate=0.1, **options)
    optimizer = keras_adam.Adam(0.1, **options)
    step = make_step(optimizer, ours)
    for i in range(12):
        step(gradients(i))
        theirs.apply(gradients(i))
    for a, b in zip(state(optimizer, "average"), theirs.average, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=5e-6)


@pytest.mark.parametrize(
    "options", [{}, {"gradient_accumulation_steps": 2}], ids=["", "accumulate"]
)
@pytest.mark.parametrize("mode", MODES)
def test_a_step_with_a_gradient_that_is_not_finite_changes_nothing(mode, options):
    bad = {2: np.nan, 3: np.inf, 6: -np.inf}
    ours = variables()
    theirs = reference(ours, learning_rate=0.01, skip_nonfinite=True, **options)
    optimizer = keras_adam.Adam(0.01, skip_nonfinite=True, **options)
    step = make_step(optimizer, ours, mode)
    for i in range(8):
        batch = [np.array(g) for g in gradients(i)]
        if i in bad:
            batch[1][4] = bad[i]
        before = [v.numpy() for v in ours + optimizer.variables]
        step([keras.ops.convert_to_tensor(g) for g in batch])
        theirs.apply(batch)
        if i in bad:
            after = [v.numpy() for v in ours + optimizer.variables]
            changed = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
            assert sum(changed) == 1  # the counter
    assert int(optimizer.skipped_steps) == theirs.skipped == 3
    assert int(optimizer._iterations) == 5
    assert_same(ours, theirs)


def test_finite_gradients_with_huge_squares_are_not_skipped():
    variable = keras.Variable([1.0])
    optimizer = keras_adam.Adam(0.01, skip_nonfinite=True)
    optimizer.apply([keras.ops.convert_to_tensor([1e30])], [variable])
    assert int(optimizer.skipped_steps) == 0


def test_a_skipped_step_leaves_a_variable_that_its_constraint_would_change():
    variable = keras.Variable(np.full(4, 9.0, "float32"))
    variable.constraint = keras.constraints.MaxNorm(1.0)
    optimizer = keras_adam.Adam(0.1, skip_nonfinite=True)
    optimizer.apply([keras.ops.full((4,), np.nan)], [variable])
    np.testing.assert_array_equal(variable.numpy(), np.full(4, 9.0))
    optimizer.apply([keras.ops.ones(4)], [variable])
    np.testing.assert_allclose(np.linalg.norm(variable.numpy()), 1.0, rtol=1e-5)


def test_a_float16_accumulator_recovers_from_its_overflow():
    variable = keras.Variable(np.ones(4), dtype="float16")
    optimizer = keras_adam.Adam(0.1, skip_nonfinite=True, gradient_accumulation_steps=4)
    for gradient in [6e4] * 4 + [1.0] * 8:
        optimizer.apply([keras.ops.full((4,), gradient, "float16")], [variable])
    assert int(optimizer.skipped_steps) == 0
    values = [v.numpy() for v in optimizer.variables] + [variable.numpy()]
    assert all(np.isfinite(value).all() for value in values)
    assert (variable.numpy() < 1.0).all()


def test_arrays_of_the_state_that_a_user_holds_or_shares_stay_whole():
    variable = keras.Variable(np.ones(4, "float32"))
    optimizers = [keras_adam.Adam(0.1, use_ema=True) for _ in range(2)]
    for optimizer in optimizers:
        optimizer.build([variable])
    gradient = keras.ops.ones(4)
    optimizers[0].apply([gradient], [variable])
    held = [v.value for v in optimizers[0].variables]
    for theirs, value in zip(optimizers[1].variables, held, strict=True):
        theirs.assign(value)
    optimizers[0].finalize_variable_values([variable])  # the average's array is the variable's now
    for optimizer in optimizers:
        optimizer.apply([gradient], [variable])
    assert all(np.isfinite(keras.ops.convert_to_numpy(value)).all() for value in held)


def test_slots_may_be_put_out_of_use_as_in_keras():
    ends = []
    for module in (keras_adam, keras.optimizers):
        variable = keras.Variable([1.0, 2.0])
        optimizer = module.Adam(0.01, beta_2=0.5, epsilon=1e-2, amsgrad=True)
        for i in range(6):
            optimizer.amsgrad = i < 3
            gradient = [10.0, 10.0] if i < 3 else [0.1, 0.1]
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        ends.append(keras.ops.convert_to_numpy(variable.value))
    np.testing.assert_allclose(*ends, rtol=1e-5)


@pytest.mark.parametrize(
    ("option", "value"), [("amsgrad", True), ("use_ema", True), ("gradient_accumulation_steps", 2)]
)
def test_slots_that_were_not_made_are_asked_for_too_late(option, value):
    variable = keras.Variable([1.0])
    optimizer = keras_adam.Adam(0.1)
    optimizer.apply([keras.ops.ones(1)], [variable])
    setattr(optimizer, option, value)
    with pytest.raises(ValueError, match=f"`{option}` must be set before the optimizer is built"):
        optimizer.apply([keras.ops.ones(1)], [variable])


def test_a_negative_weight_decay_set_later_grows_the_weights_as_in_keras():
    ends = []
    for module in (keras_adam, keras.optimizers):
        variable = keras.Variable([1.0, 2.0])
        optimizer = module.Adam(0.01, epsilon=1.0)
        optimizer.weight_decay = -1.0
        optimizer.apply([keras.ops.ones(2)], [variable])
        ends.append(keras.ops.convert_to_numpy(variable.value))
    np.testing.assert_allclose(*ends, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="`stateless_apply` is for JAX")
def test_stateless_apply_leaves_its_arguments_alone():
    variable = keras.Variable(np.ones(4, "float32"))
    optimizer = keras_adam.Adam(0.1)
    optimizer.build([variable])
    state = [v.value for v in optimizer.variables]
    for _ in range(2):
        optimizer.stateless_apply(state, [keras.ops.ones(4)], [variable.value])
    assert not any(value.is_deleted() for value in state)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("option", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_a_bound_of_zero_in_a_tensor_clips_nothing(option, mode):
    """So does the number zero. As a scale, zero would give NaN if a gradient is zero."""
    ours = [*variables(), keras.Variable(np.ones(20000, "float32"))]
    theirs = reference(ours, learning_rate=0.01)
    step = make_step(keras_adam.Adam(0.01, **{option: keras.Variable(0.0)}), ours, mode)
    for i in range(3):
        last = np.ones(20000, "float32") if i else np.zeros(20000, "float32")
        step([*gradients(i), keras.ops.convert_to_tensor(last)])
        theirs.apply([*gradients(i), last])
    assert_same(ours, theirs)
