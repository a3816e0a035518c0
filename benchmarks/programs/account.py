"""What a program costs, counted in its text: kernels, bytes, copies, collectives."""

import dataclasses

from benchmarks.programs.hlo import CONTROL, Instruction, Program

COLLECTIVES = frozenset(
    {
        "all-gather",
        "all-reduce",
        "all-to-all",
        "collective-broadcast",
        "collective-permute",
        "ragged-all-to-all",
        "reduce-scatter",
    }
)
"""Operations between devices; each may be split into a `-start` and a `-done`."""

COPIES = frozenset({"copy", "copy-start"})
"""From one buffer of the device into another."""

NAMES = CONTROL | {
    "add-dependency",
    "after-all",
    "async-done",
    "async-update",
    "bitcast",
    "constant",
    "copy-done",
    "get-tuple-element",
    "opt-barrier",
    "parameter",
    "partition-id",
    "replica-id",
    "tuple",
}
"""They give a name to what is there, or an order to what is done, and launch nothing."""


@dataclasses.dataclass(frozen=True)
class Account:
    """Numbers of instructions as they stand in the program, and bytes on one device."""

    kernels: int
    """Fusions, calls of libraries and whatever else computes."""
    kernels_of_update: int
    """Those with a part from the named scope of the update."""
    update_bytes: int
    """What the kernels of the update read and write: operands and results, each once."""
    copies: int
    copied_bytes: int
    """Each is read and written once."""
    collectives: int
    collective_bytes: int
    """The whole array that goes round: of a reduce-scatter what goes in, of an all-gather what
    comes out."""


def count(program: Program, update_scope: str) -> Account:
    """Count what a program does; `update_scope` is the JAX scope in which the update was traced.

    A loop's body counts once. A kernel that needs a part of an array only, a slice or some rows,
    counts with the whole.
    """
    kernels = kernels_of_update = update_bytes = 0
    copies = copied_bytes = collectives = collective_bytes = 0
    for computation, instruction in program.scheduled:
        collective = instruction.opcode.removesuffix("-start")
        taken = program.operand_bytes(computation, instruction)
        if collective in COLLECTIVES:
            collectives += 1
            collective_bytes += max(taken, _collected_bytes(instruction, taken))
        elif instruction.opcode in COPIES:
            copies += 1
            copied_bytes += taken
        elif instruction.opcode not in NAMES and not _is_done(instruction):
            kernels += 1
            if _is_of(update_scope, instruction, program):
                kernels_of_update += 1
                update_bytes += taken + instruction.bytes
    return Account(
        kernels,
        kernels_of_update,
        update_bytes,
        copies,
        copied_bytes,
        collectives,
        collective_bytes,
    )


def _collected_bytes(instruction: Instruction, taken: int) -> int:
    """Return the bytes of a collective's result; some `-start`s return their operands with it."""
    with_operands = instruction.opcode in ("all-gather-start", "collective-permute-start")
    return instruction.bytes - taken if with_operands else instruction.bytes


def _is_done(instruction: Instruction) -> bool:
    return instruction.opcode.removesuffix("-done") in COLLECTIVES


def _is_of(scope: str, instruction: Instruction, program: Program) -> bool:
    parts = [instruction, *program.inside(instruction)]
    return any(scope in part.op_name.split("/") for part in parts)
