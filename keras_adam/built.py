"""What an optimizer knows about the variables that it updates.

To look a variable and its shape up through Keras takes longer than to update a small variable. So
`BuiltVariables` remembers the positions and the shapes.
"""

import collections
from collections.abc import Sequence

import keras

from keras_adam.annotations import BackendVariable, Dtype, Gradient, Shape, Variable
from keras_adam.backends.interface import path_of


def variables_of(
    gradients: Sequence[Gradient],
    given: Sequence[Variable | BackendVariable] | None,
    own: Sequence[Variable] | None,
) -> list[Variable | BackendVariable]:
    """Return the variable of each gradient: the given ones, or the optimizer's own.

    `own` is `None` before the optimizer is built.

    Raises:
        ValueError: there are no variables, or their number is not the number of gradients.

    """
    given = own if given is None else given
    if given is None:
        raise ValueError(
            "`apply` needs `trainable_variables` before the optimizer is built. "
            "Pass them, or call `optimizer.build(trainable_variables)` first."
        )
    variables = list(given)
    if len(gradients) != len(variables):
        raise ValueError(
            f"`grads` must hold one gradient for each of the {len(variables)} variables; "
            f"received {len(gradients)}."
        )
    return variables


class BuiltVariables:
    """The positions and shapes of the variables, and the checks of gradients against them."""

    def __init__(
        self,
        variables: Sequence[Variable | BackendVariable],
        sparse_gradient: type[Gradient] | tuple[()],
    ) -> None:
        """Remember `variables`; a gradient of the type `sparse_gradient` has only some rows."""
        self._variables = list(variables)  # ids stay unique while the objects exist
        self._positions = {id(variable): i for i, variable in enumerate(variables)}
        self._shapes = [tuple(variable.shape) for variable in variables]
        self._sparse_gradient = sparse_gradient
        self._floating: set[Dtype] = set()

    def positions(self, variables: Sequence[Variable | BackendVariable]) -> list[int] | None:
        """Return the position of each variable, or `None` if one is not a remembered object."""
        positions = [self._positions.get(id(variable), -1) for variable in variables]
        return None if -1 in positions else positions

    def check(self, positions: Sequence[int], gradients: Sequence[Gradient]) -> None:
        """Check that each position is given once, with a gradient that fits its variable.

        A gradient must have the variable's shape and a floating dtype. A shape that is unknown in a
        graph passes this check, and the graph may fail when it runs.

        Raises:
            ValueError: a variable is given twice, or a gradient has another shape.
            TypeError: a gradient does not have a floating dtype.

        """
        if len(set(positions)) < len(positions):
            counts = collections.Counter(positions)
            repeated = [self._path(i) for i, count in counts.items() if count > 1]
            raise ValueError(
                f"Each variable must have one gradient; {repeated} come more than once in the call."
            )
        for position, gradient in zip(positions, gradients, strict=True):
            self._check_gradient(position, gradient)

    def _check_gradient(self, position: int, gradient: Gradient) -> None:
        shape, skipped = self._shapes[position], 0
        if isinstance(gradient, self._sparse_gradient):
            gradient, skipped = gradient.values, 1
        if not _may_be(gradient.shape, shape, skipped):
            raise ValueError(
                f"The gradient of variable {self._path(position)!r} must have shape {shape}; "
                f"received {(None,) * skipped + tuple(gradient.shape)[skipped:]}."
            )
        if gradient.dtype not in self._floating:
            dtype = keras.backend.standardize_dtype(gradient.dtype)
            if "float" not in dtype:
                raise TypeError(
                    f"The gradient of variable {self._path(position)!r} must have a floating "
                    f"dtype; received {dtype}."
                )
            self._floating.add(gradient.dtype)

    def _path(self, position: int) -> str:
        return path_of(self._variables[position])


def _may_be(found: Shape, shape: tuple[int, ...], skipped: int) -> bool:
    """Say whether a gradient of shape `found` may fit a variable of `shape`.

    The first `skipped` dimensions are not compared. A dimension of `None` is unknown and may fit.
    """
    if isinstance(found, tuple) and found == shape:
        return True
    if getattr(found, "rank", 0) is None:
        return True
    its, own = tuple(found)[skipped:], shape[skipped:]
    return its == own or (
        len(its) == len(own) and all(a in (None, b) for a, b in zip(its, own, strict=True))
    )
