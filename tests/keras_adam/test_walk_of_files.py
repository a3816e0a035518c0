"""Every way to pass on a model, from every kind of training: ours works if Keras's does.

If a case fails with ours, it is tried with Keras's Adam, which must fail, too. In addition, ours
takes either all of the state or none of it. If it takes none, and there was state, it says so.
"""

import copy
import functools
import pickle
import warnings

import keras
import numpy as np
import pytest

import keras_adam
from keras_adam import StateNotLoadedWarning
from tests.keras_adam.training import BACKEND

CLASSES = {
    "keras": keras.optimizers.Adam,
    # Not compiled, because nothing here depends on it and there are hundreds of first steps.
    "ours": functools.partial(keras_adam.Adam, jit_compile=False),
}

# The training of the model that is passed on, with an optimizer of the class `adam`.
SOURCES = {
    "never compiled": lambda adam, around: make_model(None, around),
    "compiled": lambda adam, around: make_model(adam(0.5), around),
    "trained": lambda adam, around: train(make_model(adam(0.5), around)),
    "another optimizer": lambda adam, around: train(
        make_model(keras.optimizers.SGD(0.5, momentum=0.9), around)
    ),
    "other options": lambda adam, around: train(make_model(adam(0.5, amsgrad=True), around)),
    "other shapes": lambda adam, around: train(make_model(adam(0.5), around, classes=5)),
}

# What is around matters to a state that there is, or is not.
AROUND = {
    "nothing": list(SOURCES),
    "LossScaleOptimizer": [name for name in SOURCES if name != "compiled"],
    "nested model": [name for name in SOURCES if name not in ("compiled", "another optimizer")],
}


def make_model(optimizer, around, classes=2):
    """Return a tiny model; `around` is the wrapper of the optimizer or the layers."""
    layers = [
        keras.layers.Dense(units, use_bias=False, kernel_initializer="ones", name=name)
        for name, units in {"hidden": 3, "out": classes}.items()
    ]
    model = keras.Sequential([keras.Input((2,)), *layers])
    if around == "nested model":
        model = keras.Sequential([keras.Input((2,)), model])
    if optimizer is not None:
        if around == "LossScaleOptimizer":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, keras.losses.MeanSquaredError())
    return model


def train(model):
    """Take a step with the gradient one; a loss scale would only take more time."""
    variables, optimizer = model.trainable_variables, model.optimizer
    if not optimizer.built:
        optimizer.build(variables)
    inner_of(optimizer).apply([keras.ops.ones(v.shape) for v in variables])
    return model


def inner_of(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)


# Each way takes the model that is passed on and a receiver, and returns the receiver.


def by_weights_file(model, other, folder):
    model.save_weights(folder / "m.weights.h5")
    other.load_weights(folder / "m.weights.h5")
    return other


def by_weights_that_may_not_fit(model, other, folder):
    model.save_weights(folder / "m.weights.h5")
    other.load_weights(folder / "m.weights.h5", skip_mismatch=True)
    return other


def by_weights_of_a_model_file(model, other, folder):
    model.save(folder / "m.keras")
    other.load_weights(folder / "m.keras")
    return other


def by_sharded_weights(model, other, folder):
    model.save_weights(folder / "m.weights.json", max_shard_size=1e-7)
    other.load_weights(folder / "m.weights.json")
    return other


def by_set_weights(model, other, folder):
    other.set_weights(model.get_weights())
    if optimizer_of(model) is not None:
        other.optimizer.set_weights([v.numpy() for v in model.optimizer.variables])
    return other


def by_checkpoint(model, other, folder):
    import tensorflow as tf

    def checkpoint(each):
        optimizer = optimizer_of(each)
        optimizer = {} if optimizer is None else {"optimizer": optimizer}
        return tf.train.Checkpoint(model=each, **optimizer)

    path = checkpoint(model).save(folder / "checkpoint")
    checkpoint(other).restore(path).expect_partial()
    return other


def by_backup(model, other, folder):
    for each in (model, other):
        callback = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
        callback.set_model(each)
        if each is model:
            callback.on_epoch_end(0)
        else:
            callback.on_train_begin()
    return other


def by_model_file(model, other, folder):
    model.save(folder / "m.keras")
    return keras.models.load_model(folder / "m.keras")


def by_legacy_file(model, other, folder):
    model.save(folder / "m.h5")
    return keras.models.load_model(folder / "m.h5")


def by_deepcopy(model, other, folder):
    return copy.deepcopy(model)


def by_pickle(model, other, folder):
    return pickle.loads(pickle.dumps(model))


INTO_ANOTHER = [
    by_weights_file,
    by_weights_that_may_not_fit,
    by_weights_of_a_model_file,
    by_sharded_weights,
    by_set_weights,
    by_backup,
]
AS_A_WHOLE = [by_model_file, by_legacy_file, by_deepcopy, by_pickle]
if BACKEND == "tensorflow":
    INTO_ANOTHER.append(by_checkpoint)

# Cases in which Keras's works, but ours does not, or takes a part of the state.
EXCEPTIONS = {
    # Keras sets the first variables, of any kind, and leaves out the others.
    (by_set_weights, "other options", "nothing"),
    (by_set_weights, "other options", "nested model"),
    # Keras's LossScaleOptimizer itself sets the variables of its inner optimizer, one after the
    # other, until one does not fit.
    (by_weights_that_may_not_fit, "other shapes", "LossScaleOptimizer"),
}


NOT_ALL_OR_NOTHING = {
    # It takes the variables that have a match.
    *((by_checkpoint, around) for around in ("nothing", "LossScaleOptimizer", "nested model")),
    # It sets only the variables of LossScaleOptimizer.
    (by_set_weights, "LossScaleOptimizer"),
}


def adam_of(model):
    """Return our Adam of a model, or `None`."""
    optimizer = inner_of(optimizer_of(model))
    return optimizer if isinstance(optimizer, keras_adam.Adam) else None


def optimizer_of(model):
    return getattr(model, "optimizer", None)  # none at all before `compile`


def state(optimizer):
    """Return the number of iterations and the slots."""
    return [v.numpy() for v in optimizer.variables if v.name != "learning_rate"]


@functools.cache
def source(name, of_class, around):
    return SOURCES[name](CLASSES[of_class], around)


def hand_on(name, of_class, way, around, is_built, folder):
    """Return the model that was passed on, and the receiver after a step."""
    model = source(name, of_class, around)
    other = make_model(CLASSES[of_class](0.25), around)
    if is_built:
        other.optimizer.build(other.trainable_variables)
    other = way(model, other, folder)
    if optimizer_of(other) is None:
        other.compile(CLASSES[of_class](0.25), keras.losses.MeanSquaredError())
    before = None
    if adam_of(other) is not None:
        other.optimizer.build(other.trainable_variables)
        before = state(adam_of(other))
    train(other)
    return model, before


def what_is_wrong(way, model, before, caught):
    """Compare the state that was passed on with the original."""
    theirs = [] if adam_of(model) is None else state(adam_of(model))
    has_all = len(theirs) == len(before) and all(map(np.array_equal, theirs, before))
    has_none = not any(value.any() for value in before)
    optimizer = optimizer_of(model)
    had_none = optimizer is None or not int(optimizer.iterations.numpy())
    if not has_all and not has_none:
        return "a part of the state"
    is_said = any(issubclass(w.category, StateNotLoadedWarning) for w in caught)
    must_be_said = not has_all and not had_none and way is not by_weights_that_may_not_fit
    if is_said != must_be_said:
        return "a warning" if is_said else "no warning"
    return None


def try_case(of_class, name, way, around, is_built, folder):
    """Return the model that was passed on, the receiver's state, the warnings and the error."""
    folder.mkdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            return *hand_on(name, of_class, way, around, is_built, folder), caught, None
        except Exception as error:
            return None, None, caught, error


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("way", INTO_ANOTHER + AS_A_WHOLE)
def test_ours_works_wherever_keras_does(way, around, tmp_path):
    wrong, worked = {}, 0
    for name in AROUND[around]:
        for is_built in (True, False) if way in INTO_ANOTHER else (False,):
            case = f"{name}, {'built' if is_built else 'not built'}"
            how = name, way, around, is_built
            model, before, caught, error = try_case("ours", *how, tmp_path / case)
            if error is not None:
                *_, of_keras = try_case("keras", *how, tmp_path / f"{case}, Keras")
                wrong[case] = None if of_keras is not None else error
            else:
                worked += 1
                if before is not None and (way, around) not in NOT_ALL_OR_NOTHING:
                    wrong[case] = what_is_wrong(way, model, before, caught)
            if is_built and (way, name, around) in EXCEPTIONS:
                assert wrong.pop(case), "no exception any more"
    assert not {case: what for case, what in wrong.items() if what}
    assert worked  # else this shows nothing
