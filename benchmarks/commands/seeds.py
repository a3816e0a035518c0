"""The option --seeds: which seeds are run."""

import re

import click


def parse(text: str) -> tuple[int, ...]:
    """Read `5` as 0 to 4, `3-7` as 3 to 7, `0,4,9` as these three, and `4-4` as only 4.

    Raises:
        ValueError: the text has none of these forms, or names a seed twice.
    """
    if re.fullmatch(r"\d+", text):
        seeds = list(range(int(text)))
    else:
        seeds = []
        for part in text.split(","):
            match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
            if match is None:
                raise ValueError(f"no seeds: {part!r}")
            seeds += range(int(match[1]), int(match[2] or match[1]) + 1)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"no seeds: {text!r}")
    return tuple(seeds)


class _Seeds(click.ParamType[tuple[int, ...]]):
    name = "N|A-B|A,B,..."

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        try:
            return parse(str(value))
        except ValueError:
            self.fail(
                f"{value!r}: expected how many (5), a range (3-7) or a list (0,4,9), none twice",
                param,
                ctx,
            )


SEEDS = _Seeds()
