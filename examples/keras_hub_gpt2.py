"""KerasHub's GPT-2 with random weights, all of it in bfloat16: `pip install -e '.[examples]'`.

With Keras's Adam it does not move. keras_adam trains it, better with master weights.
"""

import keras
import keras_hub
import numpy as np

import keras_adam

VOCABULARY, LENGTH = 5000, 32

# Sentences that go on by a rule: a word is the one before plus one.
start = np.random.default_rng(0).integers(0, VOCABULARY - LENGTH - 1, (256, 1))
words = start + np.arange(LENGTH + 1)
inputs = {"token_ids": words[:, :-1], "padding_mask": np.ones((256, LENGTH), bool)}


def train(optimizer):
    """Return the loss of each epoch."""
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=2,
        num_heads=2,
        hidden_dim=64,
        intermediate_dim=128,
        max_sequence_length=LENGTH,
        dtype="bfloat16",
    )
    model = keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    # KerasHub makes a tf.data.Dataset of the arrays, which Keras does not shuffle.
    fit = model.fit(inputs, words[:, 1:], batch_size=32, epochs=3, shuffle=False, verbose=0)
    return fit.history["loss"]


for name, optimizer in {
    "keras.optimizers.Adam": keras.optimizers.Adam(1e-3),
    "keras_adam.Adam": keras_adam.Adam(1e-3),
    "keras_adam.Adam(master_weights=True)": keras_adam.Adam(1e-3, master_weights=True),
}.items():
    losses = train(optimizer)
    print(f"{name:37} loss", *(f"{loss:.3f}" for loss in losses))

assert losses[-1] < losses[0] - 0.1
