"""XLA's optimized programs, read from their text.

A program is a list of computations; a computation is a list of instructions in the
order in which they run, each of the form

    %name = f32[64,64]{1,0} opcode(%operand, ...), attribute=..., ...

Only the counted parts are read (https://openxla.org/xla/operation_semantics has the rest).
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping

_HEAD = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) .*\{$")
_LINE = re.compile(r"^\s+(?P<root>ROOT )?%?(?P<name>[\w.\-]+) = (?P<rest>.*)$")
_OPCODE = re.compile(r" ?(?P<opcode>[a-z][\w\-]*)\(")
_ARRAY = re.compile(r"(?P<dtype>[a-z]+(?P<bits>\d*)\w*)\[(?P<shape>[\d,<=]*)\]")
_OPERAND = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(
    r"\b(?:calls|to_apply|body|condition|true_computation|false_computation"
    r"|branch_computations|called_computations)=(\{[^}]*\}|%?[\w.\-]+)"
)
_OP_NAME = re.compile(r'op_name="([^"]*)"')


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation."""

    name: str
    opcode: str
    bytes: int
    """The bytes of the result; for a tuple, of all its parts together."""
    operands: tuple[str, ...]
    """The names of the operands, which are instructions of the same computation."""
    called: tuple[str, ...]
    """The names of the computations that it runs, or of which a fusion consists."""
    op_name: str
    """The origin: JAX's functions and named scopes, joined by slashes."""
    is_root: bool


@dataclasses.dataclass(frozen=True)
class Program:
    """The computations by name, and the name of the first one to run."""

    computations: Mapping[str, tuple[Instruction, ...]]
    entry: str

    @functools.cached_property
    def scheduled(self) -> tuple[tuple[str, Instruction], ...]:
        """The instructions that run on their own, each with the name of its computation.

        They are those of the entry, and of the computations that loops, branches and calls run.
        Each counts once, even if a loop runs it several times.
        """
        return tuple(self._scheduled(self.entry, set()))

    def _scheduled(self, name: str, seen: set[str]) -> Iterator[tuple[str, Instruction]]:
        if name in seen:
            return
        seen.add(name)
        for instruction in self.computations[name]:
            yield name, instruction
            if instruction.opcode in CONTROL:
                for called in instruction.called:
                    yield from self._scheduled(called, seen)

    @functools.cached_property
    def _bytes(self) -> Mapping[tuple[str, str], int]:
        return {
            (name, instruction.name): instruction.bytes
            for name, instructions in self.computations.items()
            for instruction in instructions
        }

    def operand_bytes(self, computation: str, instruction: Instruction) -> int:
        """Return the bytes of an instruction's operands, each once."""
        return sum(self._bytes[computation, name] for name in set(instruction.operands))

    def inside(self, instruction: Instruction) -> Iterator[Instruction]:
        """Yield the instructions of the computations that a fusion or similar instruction calls."""
        for name in instruction.called:
            for part in self.computations[name]:
                yield part
                yield from self.inside(part)


CONTROL = frozenset({"call", "while", "conditional", "async-start"})
"""Operations that run other computations and compute nothing themselves."""


def parse(text: str) -> Program:
    """Read the text of an HLO module.

    Raises:
        ValueError: the text is not an HLO module, or has a line of another form.
    """
    computations: dict[str, tuple[Instruction, ...]] = {}
    entry = name = None
    lines: list[Instruction] = []
    for line in text.splitlines():
        if name is None:
            head = _HEAD.match(line)
            if head:
                name, lines = head["name"], []
                entry = name if head["entry"] else entry
        elif line.strip() == "}":
            computations[name] = tuple(lines)
            name = None
        elif line.strip():
            lines.append(_instruction(line))
    if entry is None or name is not None:
        raise ValueError("the text is no HLO module: it has no whole ENTRY computation")
    return Program(computations, entry)


def _instruction(line: str) -> Instruction:
    match = _LINE.match(line)
    if match is None:
        raise ValueError(f"not an HLO instruction: {line.strip()[:200]}")
    shape, rest = _split_shape(match["rest"])
    opcode = _OPCODE.match(rest)
    if opcode is None:
        raise ValueError(f"an HLO instruction without an opcode: {line.strip()[:200]}")
    operands, attributes = _split_parenthesis(rest[opcode.end() - 1 :])
    op_name = _OP_NAME.search(attributes)
    called = [
        name.strip().lstrip("%")
        for names in _CALLED.findall(attributes.partition("metadata={")[0])
        for name in names.strip("{}").split(",")
    ]
    return Instruction(
        name=match["name"],
        opcode=opcode["opcode"],
        bytes=shape_bytes(shape),
        operands=tuple(_OPERAND.findall(operands)),
        called=tuple(called),
        op_name=op_name[1] if op_name else "",
        is_root=bool(match["root"]),
    )


def _split_shape(text: str) -> tuple[str, str]:
    """Split the shape of the result from what follows."""
    if text.startswith("("):
        return _split_parenthesis(text)
    shape, _, rest = text.partition(" ")
    return shape, rest


def _split_parenthesis(text: str) -> tuple[str, str]:
    """Split the parenthesis at the beginning of `text` from the rest."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[: position + 1], text[position + 1 :]
    raise ValueError(f"an HLO instruction with an open parenthesis: {text[:200]}")


def shape_bytes(shape: str) -> int:
    """Return the bytes of `f32[64,64]{1,0}`, or of all the arrays of a tuple of such shapes.

    The name of a dtype has its bits: `bf16`, `s4`, `f8e4m3fn`. A truth value, `pred`, has one byte.
    Tokens, which only order operations, have no bytes.
    """
    total = 0
    for array in _ARRAY.finditer(shape):
        bits = 8 if array["dtype"] == "pred" else int(array["bits"] or 0)
        sizes = [int(size.lstrip("<=")) for size in array["shape"].split(",") if size]
        total += math.ceil(bits * math.prod(sizes) / 8)
    return total
