"""Finds the variables that have no weight decay."""

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_adam.annotations import Variable
from keras_adam.backends.interface import path_of

if TYPE_CHECKING:
    from keras_adam.optimizer import Adam


def decays(optimizer: "Adam", variable: Variable) -> bool:
    """Say whether weight decay applies to the variable.

    On TensorFlow, Keras looks for the excluded names in TensorFlow's name of the variable, which
    contains the name of its layer. This function looks for them in the path of the variable, on
    every backend.
    """
    is_excluded = any(re.search(name, path_of(variable)) for name in optimizer._excluded_names)
    return not is_excluded and optimizer._use_weight_decay(variable)


def warn_of_names_that_exclude_nothing(names: Sequence[str], variables: Sequence[Variable]) -> None:
    """Warn of each name (a regular expression) that is found in no variable's path."""
    paths = [path_of(variable) for variable in variables]
    for name in names:
        if not any(re.search(name, path) for path in paths):
            warnings.warn(
                f"`exclude_from_weight_decay`: no variable has {name!r} in its path, so this name "
                f"excludes no variable. The paths are {paths}.",
                stacklevel=4,
            )
