"""The configuration of one run, and the text form of an optimizer."""

import ast
import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from benchmarks.errors import InputError

DIGESTS = ("data_digest", "model_digest", "optimizer_digest")
"""The fields of a run that identify its data and code at the time of the run."""


@dataclasses.dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as the user wrote it: a name, and keyword arguments."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        """Return the text for the reports; equal specs have equal texts."""
        arguments = ", ".join(f"{key}={value!r}" for key, value in sorted(self.arguments.items()))
        return f"{self.name}({arguments})" if arguments else self.name


def parse_optimizer(text: str) -> OptimizerSpec:
    """Read `name` or `name(argument=value, ...)`.

    A value is a Python literal; a word without quotes is a string.

    Raises:
        InputError: `text` does not have this form. `benchmarks.optimizers` checks whether the name
        and the arguments exist.
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

    The folders of the data and the report are not here, because they do not change the measurement.
    Each field is a column of `runs.csv`, in this order.
    """

    dataset: str
    model: str
    optimizer: str
    """The optimizer, as the text of an `OptimizerSpec`."""
    seed: int
    """The seed of the initial weights and of the order of the training images."""
    backend: str
    """"tensorflow", "jax" or "torch"."""
    device: str
    """"cpu" or "gpu"."""
    jit_compile: str
    """"auto" (what Keras decides), "true" or "false": whether XLA compiles the training step."""
    batch_size: int
    """The number of images in a step."""
    learning_rate: float
    schedule: str = "constant"
    """The schedule of the learning rate: "constant", "cosine" or "reduce-on-plateau"."""
    epochs: int
    precision: str = "float32"
    """Keras's dtype policy."""
    validation: float = 0.0
    """The share of the training images that is held out for validation."""
    augment: bool = False
    """Whether the training images are flipped and shifted at random."""
    image_size: int | None = None
    """The height and width to which the images are resized; None keeps their own size."""
    weights: str | None = None
    """The file with the weights at the start; None starts from random weights."""
    data_workers: int | None = None
    """The number of threads that read the data; None leaves it to tf.data or Grain."""
    data_wait: bool = False
    """Whether the time that training waits for data is measured."""
    steps_per_execution: int = 1
    """The number of training steps in one call of the compiled function."""
    devices: int = 1
    """The number of devices that share a step, in each process."""
    processes: int = 1
    """The number of processes that train one model together."""
    shard_optimizer_state: bool = False
    """Whether each device keeps only its share of the optimizer's state."""
    max_steps: int | None = None
    """The number of steps after which training ends; None does all epochs."""
    warmup_steps: int = 0
    """The number of steps in which the learning rate rises from 0."""
    stop_at_target: bool = False
    """Whether training ends with the epoch that reaches the target."""
    data_digest: str | None = None
    """A text that changes with the data; see `data.fingerprint`. This and the next two fields are
    None if there is nothing to identify, or if the digest is not known yet."""
    model_digest: str | None = None
    """A text that changes with the user's own code of the model; see `own_code`."""
    optimizer_digest: str | None = None
    """A text that changes with the user's own code of the optimizer."""
    target_accuracy: float | None = None
    """The accuracy on the validation split (or on the test split if there is none) that training
    should reach. The run measures the steps and seconds up to there."""

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits, the same for the same configuration on every machine.

        A field with its default value does not count, so that a new field in a later version does
        not change any `run_id`.
        """
        fields = {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def identified(self, digests: Mapping[str, str]) -> "RunConfig":
        """Return this run with the digests of its data, model and optimizer, given by name."""
        found: dict[str, Any] = {column: digests.get(name) for column, name in self.named().items()}
        return dataclasses.replace(self, **found)

    def named(self) -> dict[str, str]:
        """Return, for each digest's column, the name of its data set, model or optimizer."""
        optimizer = parse_optimizer(self.optimizer).name
        names = self.dataset, self.model, optimizer
        return dict(zip(DIGESTS, names, strict=True))

    def __str__(self) -> str:
        """Return a short name for a progress line."""
        says_rate = "learning_rate=" in self.optimizer
        rate = "" if says_rate else f" at {self.learning_rate:g}"
        return f"{self.dataset} {self.model} {self.optimizer}{rate} seed {self.seed}"
