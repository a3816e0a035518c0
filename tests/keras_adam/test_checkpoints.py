"""Training continues from a file without a difference; Keras and ours read each other's files."""

import copy
import functools
import pickle

import keras
import numpy as np
import pytest

import keras_adam
from tests.keras_adam.training import BACKEND, assert_equal, everything, train_on

OPTIONS = {
    "plain": {},
    "everything": {
        "amsgrad": True,
        "use_ema": True,
        "gradient_accumulation_steps": 2,
        "weight_decay": 0.1,
        "global_clipnorm": 1.0,
    },
}
# Not compiled: how an update is computed is of no account here.
Adam = functools.partial(keras_adam.Adam, jit_compile=False)
AdamW = functools.partial(keras_adam.AdamW, jit_compile=False)
X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")


def make_model(optimizer):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "tanh", name="hidden"), keras.layers.Dense(2, name="out")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer, "mse", run_eagerly=True)  # to trace would take longer than to train
    return model


def train(model, steps):
    train_on(model, X, Y, steps)


def through_keras_file(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return keras.models.load_model(tmp_path / "model.keras")


def through_weights_file(model, tmp_path):
    model.save_weights(tmp_path / "model.weights.h5")
    other = make_model(type(model.optimizer).from_config(model.optimizer.get_config()))
    other.load_weights(tmp_path / "model.weights.h5")
    return other


def through_checkpoint(model, tmp_path):
    import tensorflow as tf

    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "ckpt")
    other = make_model(type(model.optimizer).from_config(model.optimizer.get_config()))
    other.optimizer.build(other.trainable_variables)
    status = tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(path)
    status.assert_existing_objects_matched()
    return other


def through_pickle(model, tmp_path):
    return pickle.loads(pickle.dumps(model))


def through_deepcopy(model, tmp_path):
    return copy.deepcopy(model)


WAYS = [through_keras_file, through_weights_file, through_pickle, through_deepcopy]
if BACKEND == "tensorflow":
    WAYS.append(through_checkpoint)


@pytest.fixture(scope="module", params=OPTIONS)
def trained(request, tmp_path_factory):
    """Return a model after six steps, and by each way what it was after three."""
    model = make_model(Adam(0.01, **OPTIONS[request.param]))
    train(model, 3)
    restored = {way: way(model, tmp_path_factory.mktemp("files")) for way in WAYS}
    train(model, 3)
    return model, restored


@pytest.mark.parametrize("way", WAYS)
def test_training_goes_on_bit_for_bit(way, trained):
    model, restored = trained[0], trained[1][way]
    assert type(restored.optimizer) is keras_adam.Adam
    train(restored, 3)
    assert_equal(model, restored)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_an_optimizer_alone_keeps_its_state(copied):
    """Keras's Adam loses its state if it is pickled or copied without its model."""
    model = make_model(Adam(0.01))
    train(model, 3)
    other = copied(copied(model.optimizer))  # the second time before it is built
    other.build(model.trainable_variables)
    for a, b in zip(model.optimizer.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    "classes", [(Adam, keras.optimizers.Adam), (keras.optimizers.AdamW, AdamW)], ids=["to", "from"]
)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("way", ["weights_file", "checkpoint"])
def test_state_goes_between_keras_and_ours(classes, options, way, tmp_path):
    if way == "checkpoint" and BACKEND != "tensorflow":
        pytest.skip("tf.train.Checkpoint is TensorFlow's")
    writer, reader = (make_model(cls(0.01, **options)) for cls in classes)
    train(writer, 3)
    reader.optimizer.build(reader.trainable_variables)
    if way == "weights_file":
        writer.save_weights(tmp_path / "w.weights.h5")
        reader.load_weights(tmp_path / "w.weights.h5")
    else:
        import tensorflow as tf

        path = tf.train.Checkpoint(m=writer, o=writer.optimizer).save(tmp_path / "c")
        status = tf.train.Checkpoint(m=reader, o=reader.optimizer).restore(path)
        status.assert_existing_objects_matched()
    assert_equal(writer, reader)
    train(writer, 4)
    train(reader, 4)
    if options.get("use_ema"):  # the averages differ on purpose: once an update, not a call
        pairs = zip(writer.variables, reader.variables, strict=True)
        pairs = [(a.numpy(), b.numpy()) for a, b in pairs]
    else:
        pairs = zip(everything(writer), everything(reader), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)  # one step moves by 1e-2


def test_weights_of_another_number_are_an_error():
    optimizer = keras_adam.Adam(0.01)
    optimizer.build([keras.Variable([1.0])])
    with pytest.raises(ValueError, match=r"must hold 4 arrays.*received 3"):
        optimizer.set_weights([v.numpy() for v in optimizer.variables[:3]])


def test_a_file_does_not_hold_the_count_of_skipped_steps(tmp_path):
    """Keras's Adam could not read the count. A file without it loads into an optimizer that
    counts."""
    writer = make_model(Adam(0.01, skip_nonfinite=True))
    train(writer, 2)
    writer.save_weights(tmp_path / "w.weights.h5")
    for reader in (keras.optimizers.Adam(0.01), keras_adam.Adam(0.01, skip_nonfinite=True)):
        model = make_model(reader)
        reader.build(model.trainable_variables)
        model.load_weights(tmp_path / "w.weights.h5")
        assert int(reader.iterations) == 2


def test_configuration_round_trip():
    options = {"learning_rate": 0.02, "beta_1": 0.8, "amsgrad": True, "clipnorm": 1.0}
    ours = {"jit_compile": False, "lazy": True, "skip_nonfinite": True}
    for cls in (keras_adam.Adam, keras_adam.AdamW):
        optimizer = cls(**options, **ours)
        serialized = keras.optimizers.serialize(optimizer)
        assert serialized["registered_name"] == f"keras_adam>{cls.__name__}"
        again = keras.optimizers.deserialize(serialized)
        assert type(again) is cls
        config = optimizer.get_config()
        assert again.get_config() == config
        assert {k: config[k] for k in ours} == ours
        assert config["learning_rate"] == pytest.approx(0.02)


def test_clone_of_a_model_trains():
    model = make_model(Adam(0.01))
    train(model, 1)
    clone = keras.models.clone_model(model)
    clone.compile(keras_adam.Adam.from_config(model.optimizer.get_config()), "mse")
    train(clone, 1)
    assert int(clone.optimizer.iterations) == 1
