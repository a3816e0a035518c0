"""An optimizer as a user's own that fails."""

import keras


class Fragile(keras.optimizers.SGD):
    """It fails at its first update on JAX."""

    def stateless_apply(self, *arguments):
        raise RuntimeError("out of order")
