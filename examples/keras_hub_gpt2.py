"""Train KerasHub's GPT-2 with random weights, with Keras's Adam and with keras_adam's.

In float32, with LoRA and in mixed precision both optimizers give the same losses. If all weights
are bfloat16, Keras's Adam does not change them, but keras_adam's Adam trains them. The loss is
lowest with master weights. The example needs `pip install -e '.[examples]'`.
"""

import keras
import keras_hub
import numpy as np

import keras_adam

VOCABULARY, LENGTH, SENTENCES = 5000, 32, 256

# Each word of a sentence is the number of the word before it, plus one.
start = np.random.default_rng(0).integers(0, VOCABULARY - LENGTH - 1, (SENTENCES, 1))
words = start + np.arange(LENGTH + 1)
inputs = {"token_ids": words[:, :-1], "padding_mask": np.ones((SENTENCES, LENGTH), bool)}


def train(optimizer, dtype, lora):
    """Return the loss of each epoch."""
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=2,
        num_heads=2,
        hidden_dim=64,
        intermediate_dim=128,
        max_sequence_length=LENGTH,
        dropout=0,
        dtype=dtype,
    )
    if lora:
        backbone.enable_lora(rank=4)
    model = keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    # KerasHub makes a tf.data.Dataset of the arrays, which Keras does not shuffle.
    fit = model.fit(inputs, words[:, 1:], batch_size=32, epochs=3, shuffle=False, verbose=0)
    return fit.history["loss"]


def show(what, optimizer, dtype, lora=False):
    """Train, print the losses and return them."""
    losses = train(optimizer, dtype, lora)
    name = "keras_adam" if isinstance(optimizer, keras_adam.Adam) else "keras.optimizers"
    print(f"{what:26} {name:17} loss", *(f"{loss:.4f}" for loss in losses), flush=True)
    return losses


for what, dtype, lora, rate in (
    ("float32", "float32", False, 1e-3),
    ("float32, LoRA", "float32", True, 3e-2),
    ("mixed_bfloat16", "mixed_bfloat16", False, 1e-3),
):
    before = show(what, keras.optimizers.Adam(rate), dtype, lora)
    after = show(what, keras_adam.Adam(rate), dtype, lora)
    np.testing.assert_allclose(after, before, rtol=1e-5)

before = show("bfloat16", keras.optimizers.Adam(1e-3), "bfloat16")
after = show("bfloat16", keras_adam.Adam(1e-3), "bfloat16")
best = show("bfloat16, master weights", keras_adam.Adam(1e-3, master_weights=True), "bfloat16")
assert before[0] == before[-1]
assert best[-1] < after[-1] < after[0] - 0.1
