"""Adam in float64 NumPy, written for readers, independent of keras_adam.

It does what `keras.optimizers.Adam` documents, with every option, in plain statements. The tests
compare weights and state with it.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class ReferenceAdam:
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    loss_scale_factor: float | None = None
    gradient_accumulation_steps: int | None = None
    skip_nonfinite: bool = False
    no_decay: set[int] = field(default_factory=set)  # positions that do not decay

    def build(self, variables):
        self.variables = [np.array(v, np.float64) for v in variables]
        self.momentum = [np.zeros_like(v) for v in self.variables]
        self.velocity = [np.zeros_like(v) for v in self.variables]
        self.velocity_hat = [np.zeros_like(v) for v in self.variables]
        self.average = [np.zeros_like(v) for v in self.variables]
        self.accumulator = [np.zeros_like(v) for v in self.variables]
        self.calls = 0
        self.updates = 0
        self.skipped = 0
        return self

    def apply(self, gradients):
        """Take one step; a variable with the gradient `None` does not change."""
        gradients = [None if g is None else np.array(g, np.float64) for g in gradients]
        present = [i for i, g in enumerate(gradients) if g is not None]
        if self.skip_nonfinite and not all(np.isfinite(gradients[i]).all() for i in present):
            self.skipped += 1
            return
        self.calls += 1
        for i in present:
            gradients[i] /= self.loss_scale_factor or 1.0
        steps = self.gradient_accumulation_steps
        if steps:
            if self.calls % steps:
                for i in present:
                    self.accumulator[i] += gradients[i]
                return
            for i in present:
                gradients[i] = (gradients[i] + self.accumulator[i]) / steps
            self.accumulator = [np.zeros_like(v) for v in self.variables]
        self.updates += 1
        self._clip(gradients, present)
        for i in present:
            self._adam(i, gradients[i])
        if self.use_ema:
            self._average()

    def _clip(self, gradients, present):
        if self.clipvalue:
            for i in present:
                gradients[i] = np.clip(gradients[i], -self.clipvalue, self.clipvalue)
        if self.clipnorm:
            for i in present:
                norm = np.sqrt((gradients[i] ** 2).sum())
                if norm > self.clipnorm:
                    gradients[i] = gradients[i] * self.clipnorm / norm
        if self.global_clipnorm:
            norm = np.sqrt(sum((gradients[i] ** 2).sum() for i in present))
            if norm > self.global_clipnorm:
                for i in present:
                    gradients[i] = gradients[i] * self.global_clipnorm / norm

    def _adam(self, i, gradient):
        t = self.updates
        if self.weight_decay and i not in self.no_decay:
            self.variables[i] *= 1 - self.learning_rate * self.weight_decay
        self.momentum[i] = self.beta_1 * self.momentum[i] + (1 - self.beta_1) * gradient
        self.velocity[i] = self.beta_2 * self.velocity[i] + (1 - self.beta_2) * gradient**2
        self.velocity_hat[i] = np.maximum(self.velocity_hat[i], self.velocity[i])
        velocity = self.velocity_hat[i] if self.amsgrad else self.velocity[i]
        step_size = self.learning_rate * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        self.variables[i] -= step_size * self.momentum[i] / (np.sqrt(velocity) + self.epsilon)

    def _average(self):
        for i, variable in enumerate(self.variables):
            keep = self.ema_momentum if self.updates > 1 else 0.0
            self.average[i] = keep * self.average[i] + (1 - keep) * variable
            frequency = self.ema_overwrite_frequency
            if frequency and self.updates % frequency == 0:
                self.variables[i] = self.average[i].copy()
