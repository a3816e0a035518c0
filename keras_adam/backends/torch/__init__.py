"""The update on PyTorch, in place: by torch's fused kernel, or by pure functions."""

from keras_adam.backends.torch.updater import Updater

__all__ = ["Updater"]
