"""The costs of a program, counted in its text: kernels, bytes, copies, collectives."""

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
"""The operations between devices; each may be split into a `-start` and a `-done`."""

COPIES = frozenset({"copy", "copy-start"})
"""The operations that copy one buffer of the device into another."""

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
"""Operations that launch nothing, because they only name or order other results."""


@dataclasses.dataclass(frozen=True)
class Account:
    """The numbers of instructions in the program, and bytes on one device."""

    kernels: int
    """The number of fusions, library calls and other computing instructions."""
    kernels_of_update: int
    """The number of kernels with a part from the named scope of the update."""
    update_bytes: int
    """The bytes that the kernels of the update read and write, each operand and result once."""
    copies: int
    copied_bytes: int
    """The bytes that are copied; each is read and written once."""
    collectives: int
    collective_bytes: int
    """The bytes of the whole arrays that are sent: the input of a reduce-scatter, the output of an
    all-gather."""


def count(program: Program, update_scope: str) -> Account:
    """Count the costs of a program; the update was traced in the JAX scope `update_scope`.

    The body of a loop counts once. If a kernel needs only a part of an array, a slice or some rows,
    the whole array counts.
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
    """Return the bytes of a collective's result, without operands that a `-start` returns."""
    with_operands = instruction.opcode in ("all-gather-start", "collective-permute-start")
    return instruction.bytes - taken if with_operands else instruction.bytes


def _is_done(instruction: Instruction) -> bool:
    return instruction.opcode.removesuffix("-done") in COLLECTIVES


def _is_of(scope: str, instruction: Instruction, program: Program) -> bool:
    parts = [instruction, *program.inside(instruction)]
    return any(scope in part.op_name.split("/") for part in parts)
