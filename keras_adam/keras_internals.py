"""The private parts of Keras that keras_adam uses, and the methods that a subclass may override.

A test looks up each name. If a release of Keras has moved one, the test fails and says which.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any

import keras

from keras_adam.annotations import Store

# The helpers of `BaseOptimizer.apply`, and the lists that `build` fills if every option is on.
# `keras_adam.Adam` replaces `apply` to update all variables at once.
KERAS_PRIVATE = (
    "_accumulated_gradients",
    "_check_variables_are_known",
    "_filter_empty_gradients",
    "_get_variable_index",
    "_iterations",
    "_learning_rate",
    "_model_variables_moving_average",
    "_momentums",
    "_overwrite_variables_directly_with_gradients",
    "_trainable_variables",
    "_use_weight_decay",
    "_velocities",
    "_velocity_hats",
)

# Methods of Keras's optimizers that a subclass may override to change the update. The compiled
# update does not call them. If a subclass overrides one, Keras's update is used.
KERAS_HOOKS = (
    "update_step",
    "_apply_weight_decay",
    "_backend_apply_gradients",
    "_backend_increment_gradient_accumulators",
    "_backend_reset_gradient_accumulators",
    "_backend_update_step",
    "_clip_by_norm",
    "_clip_gradients",
    "_overwrite_model_variables_with_average_value",
    "_update_model_variables_moving_average",
    "assign_add",
    "assign_sub",
)


def overridden_hooks(optimizer: keras.optimizers.Optimizer, base: type) -> list[str]:
    """Return the hooks that the optimizer, or its class, does not inherit from `base`."""
    # `vars` does not work here. Wrappers make a class by `type(name, bases, dict(Other.__dict__))`,
    # and the `__dict__` of this class then has everything that Other's has.
    return [
        hook
        for hook in KERAS_HOOKS
        if _function_of(getattr(optimizer, hook)) != getattr(base, hook)
    ]


def _function_of(method: Any) -> Callable[..., object] | None:
    # No `getattr` with a default, because `torch.compile` would use the default in its trace.
    try:
        return method.__func__
    except AttributeError:  # a function set on the object
        return None


def skips_mismatch() -> bool:
    """Say whether Keras is loading with `load_weights(..., skip_mismatch=True)`.

    Keras does not pass `skip_mismatch` to `load_own_variables`. So this function reads it from the
    local variables of Keras's function `_load_state`, which is one of the callers.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "_load_state" and "skip_mismatch" in frame.f_locals:
            return bool(frame.f_locals["skip_mismatch"])
        frame = frame.f_back
    return False


def file_name(store: Store) -> str | None:
    """Return the name of the file from which Keras reads state, or `None` if it has no name."""
    if hasattr(store, "sharding_config"):  # the state is in several files, and this one names them
        return str(store.path)
    name = getattr(getattr(store, "h5_file", None), "filename", None)
    return name if isinstance(name, str) else None


def optimizer_name(store: Store) -> str | None:
    """Return the name of the optimizer that saved the state, or `None` if the store has no name."""
    group = getattr(store, "_h5_entry_group", None)
    return getattr(group, "attrs", {}).get("name")


def is_of_another_class(name: str | None) -> bool:
    """Say whether a name is the default name of an optimizer class of Keras other than Adam."""
    plain = re.sub(r"(_\d+)?$", "", name or "").replace("_", "")
    base = keras.optimizers.Optimizer
    classes = [c for c in vars(keras.optimizers).values() if isinstance(c, type) and c is not base]
    others = {c.__name__.lower() for c in classes if issubclass(c, base)} - {"adam", "adamw"}
    return plain in others
