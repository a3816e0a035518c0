"""What the user asked for and cannot be done, in one line."""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path


class InputError(ValueError):
    """What the user asked for cannot be done; the message is one line that says why.

    It names an argument as Python spells it, `batch_size`. The command line, and
    nothing else, knows that this is the option `--batch-size`, and spells it so.
    """

    def __init__(self, problem: str, *, see: Sequence[str] = (), **argument: object) -> None:
        """Say what is wrong with an argument.

        Args:
            problem: what is wrong, and what would be right.
            see: other arguments that can put it right.
            **argument: name and value of the one that is wrong, if it is one.
        """
        super().__init__(problem)
        self._argument, self._value = next(iter(argument.items()), ("", None))
        self._see = see

    def __str__(self) -> str:
        """Return the message, with the arguments as Python spells them."""
        return self.spell(str)

    def spell(self, argument: Callable[[str], str]) -> str:
        """Return the message, with each argument spelled as `argument` returns it."""
        words = argument(self._argument) if self._argument else ""
        if words and self._value is not True:  # that of a flag says nothing
            words += f" {(str(self._value) if isinstance(self._value, Path) else self._value)!r}"
        message = f"{words}: {self.args[0]}" if words else str(self.args[0])
        return f"{message}; see {', '.join(map(argument, self._see))}" if self._see else message

    def at(self, place: str) -> "InputError":
        """Return the same error, which says where it was met."""
        argument = {self._argument: self._value} if self._argument else {}
        return InputError(f"{place}: {self.args[0]}", see=self._see, **argument)


def one_line(error: BaseException) -> str:
    """Return the type and the message of an exception on one line of bounded length."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 400, placeholder=" ...")
