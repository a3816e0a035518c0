"""An optimizer of your own that the harness can train with.

Run this command in the folder of the clone:

    PYTHONPATH=examples python -m benchmarks train \
        --optimizer 'sign_sgd:SignSGD(learning_rate=0.0003)' --optimizer keras_adam
"""

import keras


class SignSGD(keras.optimizers.Optimizer):
    """Move each weight by the learning rate, against the sign of its gradient.

    variable <- variable - learning_rate * sign(gradient)

    Bernstein et al. 2018, https://arxiv.org/abs/1802.04434, algorithm 1.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable."""
        rate = keras.ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * keras.ops.sign(gradient))
