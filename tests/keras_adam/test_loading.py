"""The rule for loading state: which state is taken, which is not, and which is an error."""

import copy
import functools
import pickle
import warnings

import h5py
import keras
import numpy as np
import pytest

import keras_adam
from keras_adam import StateNotLoadedWarning

RATE = 0.25  # exact in float32
# Not compiled, because the computation of the update does not matter here.
Adam = functools.partial(keras_adam.Adam, jit_compile=False)


def make_model(optimizer=None, classes=2):
    layers = [
        keras.layers.Dense(units, kernel_initializer="ones", name=name)
        for name, units in {"hidden": 3, "out": classes}.items()
    ]
    model = keras.Sequential([keras.Input((2,)), *layers])
    if optimizer is not None:
        model.compile(optimizer, "mse")
    return model


def train(model, steps=1):
    """Take steps with the gradient one, without a trace."""
    for _ in range(steps):
        gradients = [keras.ops.ones(v.shape) for v in model.trainable_variables]
        model.optimizer.apply(gradients, model.trainable_variables)
    return model


def load_and_train(model, path, **options):
    """Load the file and take a step; either may warn."""
    model.load_weights(path, **options)
    return train(model)


def trained(steps=3, rate=RATE, **options):
    return train(make_model(Adam(rate, **options)), steps)


def state(optimizer):
    """Return all numbers but the learning rate."""
    return [v.numpy() for v in optimizer.variables if v.name != "learning_rate"]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def rate(model):
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.weights.h5"


@pytest.fixture(params=["built", "not built"])
def prepare(request):
    """Build the optimizer of a model before it loads, or leave that to its first step."""

    def prepare(model):
        if request.param == "built":
            model.optimizer.build(model.trainable_variables)
        return model

    return prepare


# A fresh start.


@pytest.mark.parametrize("writer", [None, keras.optimizers.Adam, Adam])
def test_a_file_from_before_the_first_step_is_a_fresh_start(writer, prepare, path):
    make_model(writer and writer(RATE)).save_weights(path)
    model = prepare(make_model(Adam(RATE)))
    model.load_weights(path)
    train(model)
    assert_same(state(model.optimizer), state(trained(1).optimizer))


def test_each_fold_starts_afresh(path):
    model = make_model(Adam(RATE, use_ema=True))
    model.save_weights(path)
    folds = []
    for _ in range(2):
        model.load_weights(path)
        train(model, 2)
        folds.append([*model.get_weights(), *state(model.optimizer)])
    assert_same(*folds)
    assert int(model.optimizer.iterations.numpy()) == 2


def test_weights_without_state_start_a_trained_optimizer_afresh_and_say_so(path):
    make_model().save_weights(path)
    model = trained()
    with pytest.warns(StateNotLoadedWarning, match="state of its 3 iterations is discarded"):
        model.load_weights(path)
    assert rate(model) == RATE
    for value in state(model.optimizer):
        assert not value.any()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("of_model", [True, False])
def test_a_copy_from_before_the_first_step_trains(copied, of_model):
    model = make_model(Adam(RATE))
    other = copied(model) if of_model else make_model(copied(model.optimizer))
    assert_same(train(model).get_weights(), train(other).get_weights())
    assert_same(state(model.optimizer), state(other.optimizer))


def test_numbers_alone_are_taken(path):
    make_model(Adam(0.5)).save_weights(path)
    model = trained()
    model.load_weights(path)
    assert rate(model) == 0.5
    model.optimizer.set_weights([np.array(0), np.array(0.125)])
    assert rate(model) == 0.125


# The learning rate.


def test_a_built_optimizer_takes_the_rate_of_the_file(path):
    trained(rate=0.5).save_weights(path)
    model = trained(1)
    model.load_weights(path)
    assert rate(model) == 0.5
    assert int(model.optimizer.iterations.numpy()) == 3


@pytest.mark.parametrize("steps", [0, 3])
def test_an_optimizer_that_is_not_built_keeps_its_rate(steps, path):
    trained(steps, rate=0.5).save_weights(path)
    by_argument, by_hand = (make_model(Adam(r)) for r in (RATE, 0.5))
    for model in (by_argument, by_hand):
        model.load_weights(path)
    by_hand.optimizer.learning_rate = RATE
    expected = train(trained(steps, rate=0.5))
    for model in (by_argument, by_hand):
        train(model)
        assert rate(model) == RATE
        assert_same(state(model.optimizer), state(expected.optimizer))


def test_a_file_from_before_the_first_step_has_the_rate_of_now(path):
    trained(rate=0.5).save_weights(path)
    model = make_model(Adam(RATE))
    model.load_weights(path)
    model.save_weights(path)
    other = trained(1)
    other.load_weights(path)
    assert rate(other) == RATE
    assert_same(state(other.optimizer), state(trained().optimizer))


# State that does not fit.

UNFIT = {
    "options": lambda: trained(amsgrad=True),
    "schedule": lambda: trained(rate=keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
    "frozen": lambda: train(_frozen(Adam(RATE))),
    "sgd": lambda: train(make_model(keras.optimizers.SGD(0.5))),
    "momentum": lambda: train(make_model(keras.optimizers.SGD(0.5, momentum=0.9))),
    "adamax": lambda: train(make_model(keras.optimizers.Adamax(0.5))),
}


def of_state(caught):
    return [w for w in caught if issubclass(w.category, StateNotLoadedWarning)]


def _frozen(optimizer):
    model = make_model()
    model.layers[0].trainable = False
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("name", UNFIT)
def test_other_state_is_not_taken_and_one_warning_says_so(name, prepare, path):
    UNFIT[name]().save_weights(path)
    model = prepare(make_model(Adam(RATE)))
    with pytest.warns(StateNotLoadedWarning) as caught:
        load_and_train(model, path)
    assert len(of_state(caught)) == 1
    assert rate(model) == RATE
    assert_same(state(model.optimizer), state(trained(1).optimizer))
    model.save_weights(path)
    again = make_model(Adam(RATE))
    again.optimizer.build(again.trainable_variables)
    again.load_weights(path)
    assert_same(state(again.optimizer), state(model.optimizer))


def test_any_name_may_be_given(path):
    trained(name="optimizer").save_weights(path)
    model = trained(1)
    model.load_weights(path)
    assert int(model.optimizer.iterations.numpy()) == 3


def test_the_warning_says_what_differs(prepare, path):
    trained().save_weights(path)
    model = prepare(make_model(Adam(RATE, amsgrad=True, name="mine")))
    message = (
        r"state in '.*model.weights.h5' does not fit optimizer 'mine'.*holds 10 variables, the "
        r"optimizer has 14.*first difference: variable 10 is .*velocity_hat.*in the file nothing"
    )
    with pytest.warns(StateNotLoadedWarning, match=message):
        load_and_train(model, path)


def test_the_warning_as_an_error_comes_at_each_step(path):
    trained().save_weights(path)
    model = make_model(Adam(RATE, amsgrad=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error", StateNotLoadedWarning)
        model.load_weights(path)
        weights = model.get_weights()
        for _ in range(2):
            with pytest.raises(StateNotLoadedWarning, match="does not fit"):
                train(model)
        assert_same(weights, model.get_weights())
        model.save_weights(path)  # its own, which fits
        other = make_model(Adam(RATE, amsgrad=True))
        other.optimizer.build(other.trainable_variables)
        other.load_weights(path)
    assert int(other.optimizer.iterations.numpy()) == 0


def test_the_warning_as_an_error_at_the_call_that_loads(path):
    trained().save_weights(path)
    model = trained(1, amsgrad=True)
    before = state(model.optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error", StateNotLoadedWarning)
        with pytest.raises(ValueError, match="does not fit optimizer"):  # Keras's own
            model.load_weights(path)
    assert_same(before, state(model.optimizer))


def test_skip_mismatch_silences_the_warning(prepare, path):
    train(make_model(Adam(RATE), classes=5), 3).save_weights(path)
    model = prepare(make_model(Adam(RATE)))
    with pytest.warns(UserWarning, match="1 objects could not be loaded") as caught:  # the layer
        load_and_train(model, path, skip_mismatch=True)
    assert not of_state(caught)
    assert_same(state(model.optimizer), state(trained(1).optimizer))


# Damage.


def damage(path, key, change):
    with h5py.File(path, "a") as file:
        group = file["optimizer/vars"]
        value = np.array(group[key])
        del group[key]
        if change is not None:
            group[key] = change(value)


DAMAGES = {
    "NaN in a counter": ("0", lambda value: np.float32("nan"), "variable '0' has NaN"),
    "a counter below zero": ("0", lambda value: value - 9, "variable '0', .* is -6"),
    "NaN in the state": ("3", lambda value: value * np.nan, "variable '3' has NaN"),
    "a variable is missing": ("4", None, "variable '4' is missing"),
    "no numbers": ("5", lambda value: b"text", r"variable '5' cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_state_is_an_error_that_changes_nothing(name, prepare, path):
    key, change, message = DAMAGES[name]
    trained().save_weights(path)
    damage(path, key, change)
    model = prepare(make_model(Adam(0.5)))
    for _ in range(2):  # the error repeats
        with pytest.raises(ValueError, match=f"(?s)model.weights.h5' is damaged: {message}"):
            model.load_weights(path)
    assert rate(model) == 0.5
    train(model)
    assert_same(state(model.optimizer), state(trained(1).optimizer))


# Keras's own words if it opens the file; it opens the other files when the state is read.
TRUNCATED = {
    "model.keras": ("model.keras", "not a zip file"),
    "model.weights.h5": ("model.weights.h5", "truncated"),
    "model.weights.json": ("model_00002.weights.h5", "model.weights.json' is damaged: .*truncated"),
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_a_truncated_file_is_an_error_that_changes_nothing(name, prepare, tmp_path):
    path, (cut, message) = tmp_path / name, TRUNCATED[name]
    if name == "model.keras":
        trained().save(path)
    elif name == "model.weights.json":
        trained().save_weights(path, max_shard_size=1e-7)
    else:
        trained().save_weights(path)
    contents = (tmp_path / cut).read_bytes()
    (tmp_path / cut).write_bytes(contents[: len(contents) // 2])
    model = prepare(make_model(Adam(0.5)))
    before = state(model.optimizer)
    for _ in range(2):  # the error repeats
        with pytest.raises(Exception, match=f"(?s){message}"):
            model.load_weights(path)
    assert_same(before, state(model.optimizer))
    assert rate(model) == 0.5
    train(model)
    assert int(model.optimizer.iterations.numpy()) == 1


def test_weights_that_do_not_fit_change_nothing():
    optimizer = trained().optimizer
    before = state(optimizer)
    weights = [v.numpy() + 1 for v in optimizer.variables]
    weights[-1] = weights[-1][:1]
    with pytest.raises(ValueError, match=r"`weights\[9\]` must have the shape"):
        optimizer.set_weights(weights)
    assert_same(before, state(optimizer))


def test_an_error_of_build_leaves_the_optimizer_as_it_was():
    optimizer = Adam(RATE, master_weights="stochastic")
    for _ in range(2):
        with pytest.raises(ValueError, match="is of float16"):
            optimizer.build([keras.Variable([1.0], dtype="float16")])
    assert not optimizer.built
    assert len(optimizer.variables) == 2
    optimizer.build([keras.Variable([1.0], dtype="bfloat16")])
