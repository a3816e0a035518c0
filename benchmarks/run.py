"""What one run is, and how an optimizer is spelled."""

import ast
import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from benchmarks.errors import InputError

DIGESTS = ("data_digest", "model_digest", "optimizer_digest")
"""The fields of a run that say what its names stood for when it was run."""


@dataclasses.dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as the user wrote it: a name, and arguments by keyword."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        """Spell it for the reports: equal specs are spelled alike."""
        arguments = ", ".join(f"{key}={value!r}" for key, value in sorted(self.arguments.items()))
        return f"{self.name}({arguments})" if arguments else self.name


def parse_optimizer(text: str) -> OptimizerSpec:
    """Read `name` or `name(argument=value, ...)`.

    A value is a Python literal; a bare word stands for the string of that name.

    Raises:
        InputError: `text` is not of that form. Whether the name and its
            arguments exist is for `benchmarks.optimizers` to say.
    """
    match = re.fullmatch(r"\s*(?P<name>[\w.:]+)\s*(?P<call>\(.*\))?\s*", text, re.DOTALL)
    if match is None:
        raise InputError("expected a name, or name(argument=value, ...)", optimizer=text)
    try:
        call = ast.parse(f"optimizer{match['call'] or '()'}", mode="eval").body
    except SyntaxError as error:
        raise InputError(f"wrong syntax: {error.msg}", optimizer=text) from error
    if not isinstance(call, ast.Call) or call.args or any(k.arg is None for k in call.keywords):
        raise InputError("arguments are given by name, as in (beta_1=0.95)", optimizer=text)
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        try:
            value = keyword.value
            literal = value.id if isinstance(value, ast.Name) else ast.literal_eval(value)
        except ValueError as error:
            raise InputError(
                f"the value of {keyword.arg} is not a number, a word, True, False or None",
                optimizer=text,
            ) from error
        arguments[str(keyword.arg)] = literal
    return OptimizerSpec(match["name"], arguments)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that determines one training run, and nothing else.

    Where the data lie on disk and where the report goes do not belong here:
    they do not change what is measured. Each field is a column of `runs.csv`,
    in this order.
    """

    dataset: str
    model: str
    optimizer: str
    """The spelling of an `OptimizerSpec`."""
    seed: int
    """Of the initial weights and of the order of the training images."""
    backend: str
    """"tensorflow", "jax" or "torch"."""
    device: str
    """"cpu" or "gpu"."""
    jit_compile: str
    """"auto" (what Keras decides), "true" or "false": whether XLA compiles the training step."""
    batch_size: int
    """Images a step."""
    learning_rate: float
    schedule: str = "constant"
    """Of the learning rate: "constant", "cosine" or "reduce-on-plateau"."""
    epochs: int
    precision: str = "float32"
    """Keras's dtype policy."""
    validation: float = 0.0
    """Share of the training images that is held out to choose with."""
    augment: bool = False
    """Whether the training images are flipped and shifted at random."""
    image_size: int | None = None
    """Height and width that the images are brought to; None keeps their own."""
    weights: str | None = None
    """File with the weights to start from; None starts from random ones."""
    data_workers: int | None = None
    """Threads that read the data; None leaves their number to tf.data or Grain."""
    data_wait: bool = False
    """Whether it is measured how long training waits for data."""
    steps_per_execution: int = 1
    """Training steps that one call of the compiled function makes."""
    devices: int = 1
    """On which a step is divided, in each process."""
    processes: int = 1
    """That train one model together."""
    shard_optimizer_state: bool = False
    """Whether each device keeps only its share of the optimizer's state."""
    max_steps: int | None = None
    """Training ends after so many steps; None does all epochs."""
    warmup_steps: int = 0
    """In which the learning rate rises from 0."""
    stop_at_target: bool = False
    """Whether training ends with the epoch that reaches the target."""
    data_digest: str | None = None
    """What tells the state of the data from another; see `data.fingerprint`. None, as for the two
    below, where there is nothing to tell or that was not known yet."""
    model_digest: str | None = None
    """The same of the user's own code of the model; see `own_code`."""
    optimizer_digest: str | None = None
    """The same of the optimizer's."""
    target_accuracy: float | None = None
    """On the validation split, or on the test split if nothing is held out for it; how long it
    takes to get there is measured."""

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits: the same for the same configuration, everywhere.

        A field with its default value does not count, so that a field that a
        later version adds changes no `run_id`.
        """
        fields = {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def identified(self, digests: Mapping[str, str]) -> "RunConfig":
        """Return it with the digests of its data, model and optimizer, each given by its name."""
        found: dict[str, Any] = {column: digests.get(name) for column, name in self.named().items()}
        return dataclasses.replace(self, **found)

    def named(self) -> dict[str, str]:
        """Return the column of each digest, and the name of that of which it is."""
        optimizer = parse_optimizer(self.optimizer).name
        names = self.dataset, self.model, optimizer
        return dict(zip(DIGESTS, names, strict=True))

    def __str__(self) -> str:
        """Name it in a few words for a progress line."""
        says_rate = "learning_rate=" in self.optimizer
        rate = "" if says_rate else f" at {self.learning_rate:g}"
        return f"{self.dataset} {self.model} {self.optimizer}{rate} seed {self.seed}"
