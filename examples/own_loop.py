"""Write your own training loop: the whole step is a `tf.function`."""

import keras
import numpy as np
import tensorflow as tf

import keras_adam

keras.utils.set_random_seed(0)
images = np.random.default_rng(0).normal(size=(512, 20)).astype("float32")
labels = (images[:, 0] + images[:, 1] > 0).astype("int32")
batches = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(512, seed=0).batch(32)

model = keras.Sequential(
    [keras.Input((20,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(2)]
)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras_adam.Adam(3e-3, global_clipnorm=1.0)
optimizer.build(model.trainable_variables)  # before the first trace, as for Keras's Adam


@tf.function
def train_step(batch_images, batch_labels):
    with tf.GradientTape() as tape:
        loss = loss_of(batch_labels, model(batch_images, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(5):
    losses = [float(train_step(*batch)) for batch in batches]
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}")

assert np.mean(losses) < 0.3
