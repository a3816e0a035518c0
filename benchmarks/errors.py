"""The error for a request of the user that cannot be done, in one line."""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path


class InputError(ValueError):
    """The user's request cannot be done; the message says why in one line.

    The message has the name of the argument in Python, `batch_size`. Only the command line turns it
    into the option `--batch-size`.
    """

    def __init__(self, problem: str, *, see: Sequence[str] = (), **argument: object) -> None:
        """Say what is wrong with an argument.

        Args:
            problem: what is wrong, and what would be right.
            see: other arguments that can correct it.
            **argument: name and value of the wrong argument, if there is one.
        """
        super().__init__(problem)
        self._argument, self._value = next(iter(argument.items()), ("", None))
        self._see = see

    def __str__(self) -> str:
        """Return the message, with the names of the arguments in Python."""
        return self.spell(str)

    def spell(self, argument: Callable[[str], str]) -> str:
        """Return the message, with each argument's name replaced by the result of `argument`."""
        words = argument(self._argument) if self._argument else ""
        if words and self._value is not True:  # the value of a flag is not shown
            words += f" {(str(self._value) if isinstance(self._value, Path) else self._value)!r}"
        message = f"{words}: {self.args[0]}" if words else str(self.args[0])
        return f"{message}; see {', '.join(map(argument, self._see))}" if self._see else message

    def at(self, place: str) -> "InputError":
        """Return the same error, with the place where it was raised."""
        argument = {self._argument: self._value} if self._argument else {}
        return InputError(f"{place}: {self.args[0]}", see=self._see, **argument)


def one_line(error: BaseException) -> str:
    """Return the type and the message of an exception on one line of bounded length."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 400, placeholder=" ...")
