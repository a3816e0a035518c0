"""Short names for optimizers; no two optimizers get the same name."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.errors import InputError
from benchmarks.run import OptimizerSpec, parse_optimizer

Labels = Mapping[str, str]
"""A mapping from the name of an optimizer in `observations` to its label."""


def shorten(subjects: Iterable[str]) -> dict[str, str]:
    """Return a label for each name; no two are equal.

    Arguments that are equal in all names are left out. The learning rate is also left out if the
    names differ without it, because tables have a column for it.
    """
    names = list(dict.fromkeys(subjects))
    specs = {name: spec for name in names if (spec := _spec(name)) is not None}
    differing = _differing(list(specs.values()))
    choices = {
        name: [*_choices(name, specs[name], differing), name] if name in specs else [name]
        for name in names
    }
    levels = dict.fromkeys(names, 0)
    while True:
        labels = {name: choices[name][levels[name]] for name in names}
        counts = Counter(labels.values())
        clashing = [n for n in names if counts[labels[n]] > 1 and levels[n] + 1 < len(choices[n])]
        if not clashing:
            return labels
        for name in clashing:
            levels[name] += 1


def _spec(name: str) -> OptimizerSpec | None:
    """Read `adam(beta_1=0.9)` and `adam at 0.001`; return None for other names, as of a folder."""
    text, _, rate = name.partition(" at ")
    try:
        spec = parse_optimizer(text)
    except InputError:
        return None
    return OptimizerSpec(spec.name, spec.arguments | ({"learning_rate": rate} if rate else {}))


def _differing(specs: Sequence[OptimizerSpec]) -> set[str]:
    """Return the arguments that some lack, or that have different values."""
    values = [{key: repr(value) for key, value in spec.arguments.items()} for spec in specs]
    keys = {key for one in values for key in one}
    return {key for key in keys if len({one.get(key) for one in values}) > 1}


def _choices(name: str, spec: OptimizerSpec, differing: set[str]) -> list[str]:
    """Return labels of one optimizer, the shortest first; the full label is `name`."""
    arguments = {key: value for key, value in spec.arguments.items() if key in differing}
    without_rate = {key: value for key, value in arguments.items() if key != "learning_rate"}
    class_name = spec.name.rpartition(":")[2]
    shorter = (
        OptimizerSpec(class_name, without_rate),
        OptimizerSpec(class_name, arguments),
        OptimizerSpec(spec.name, arguments),
    )
    return [name if one == spec else str(one) for one in shorter]
