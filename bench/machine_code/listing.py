"""Loops in a compiler's listing (x86 in AT&T's syntax, 64-bit ARM), and their moves to the stack and back.

A *hot* loop is one without a loop and without a call inside: a call passes arguments on the stack. Counted
are

- stores: instructions that move a vector register to the stack;
- reads: instructions that take a vector from there, by a move or as an operand.

Scalars are no vectors, even in vector registers, nor is a scalar that is broadcast from the stack as it is
read; and the registers that a function saves at its begin and restores at its end are in no loop.

Loops are those of the control-flow graph, wherever the compiler has put their blocks: strongly connected
components, and again those of a component without the blocks where it is entered.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

LABEL = re.compile(r'^("[^"]*"|[^\s:"#;]+):')
COMMENT = re.compile(r"\s*(##|# |//|;).*")
TABLE = re.compile(r"^\.(?:byte|short|hword|long|word|quad|xword|[248]byte)\s.*?(\.?LBB\w+)")

X86_VECTOR, ARM_VECTOR = re.compile(r"%[xyz]mm\d"), re.compile(r"\b[qvz]\d")
X86_SCALAR = re.compile(
    r"v?(?:mov|add|sub|mul|div|sqrt|cvt|u?comi|cmp|round|rndscale|max|min|fn?m(?:add|sub))\w*s[sd]"
    r"|v?cvt\w*s[sdi]2\w+|v?mov[dq]|v?movddup|v?mov[lh]p[sd]"
    r"|v?p?broadcast(?:s[sd]|[bwdq])|v?p(?:insr|extr)[bwdq]|v?(?:extract|insert)ps"
)
X86_MOVE = re.compile(r"v?p?(?:mov|lddqu|broadcast|insert|extract|insr|extr|perm|shuf|unpck|alignr)")
ARM_MOVE = re.compile(r"(?:ld|st|f?mov|dup|ins|ext|zip|uzp|trn|tbl|rev|umov|smov)")
FUSED = re.compile(r"vfn?m(?:add|sub)|fml[as]|fn?m(?:add|sub)")
PRODUCT = re.compile(r"v?mulp|fmul")

X86_JUMP, ARM_JUMP = re.compile(r"j\w+$"), re.compile(r"(?:b|b\.\w+|bc\.\w+|cbn?z|tbn?z)$")
CALL = re.compile(r"(?:callq?|blr?)$")
END = re.compile(r"(?:jmpq?|b|br|retq?|ud2|brk|udf)$")  # what follows is not the next instruction
INDIRECT = re.compile(r"(?:br$|jmpq?\s+\*)")


class Instruction(NamedTuple):
    opcode: str
    operands: str


class Function(NamedTuple):
    """Labels are those of instructions, by their number; `tabled` those that tables of jumps name."""

    name: str
    instructions: list[Instruction]
    labels: dict[str, int]
    tabled: set[str]


class Loop(NamedTuple):
    """What the instructions of a loop do, those of the loops inside it left out.

    `fused` are multiply-adds; multiplications where there are none.
    """

    is_hot: bool
    instructions: int
    fused: int
    computing: int
    stores: int
    reads: int

    @property
    def moves(self) -> int:
        return self.stores + self.reads


def functions(listing: str) -> list[Function]:
    """The functions of a listing that have instructions."""
    found: list[Function] = []
    tabled: set[str] = set()
    for line in listing.splitlines():
        line = COMMENT.sub("", line)
        label = LABEL.match(line)
        if label and label[1].strip('"').startswith((".L", "L")):
            if found:
                found[-1].labels[label[1]] = len(found[-1].instructions)
        elif label:
            found.append(Function(label[1].strip('"'), [], {}, tabled))
        elif line.strip().startswith("."):
            if entry := TABLE.match(line.strip()):
                tabled.add(entry[1])
        elif line.strip() and found:
            opcode, *operands = line.split(None, 1)
            found[-1].instructions.append(Instruction(opcode, "".join(operands).strip()))
    return [function for function in found if function.instructions]


def loops(function: Function, is_arm: bool) -> list[Loop]:
    """All loops of a function."""
    code = function.instructions
    starts, edges = _graph(function, is_arm)
    ends = [*starts[1:], len(code)]
    stack = _stack(code, is_arm)
    found = []
    for blocks, inner in _nested(edges, np.arange(len(starts))):
        own = [code[i] for block in sorted(blocks - inner) for i in range(starts[block], ends[block])]
        kinds = [_access(instruction, stack, is_arm) for instruction in own]
        fused, products = (sum(bool(k.match(opcode)) for opcode, _ in own) for k in (FUSED, PRODUCT))
        found.append(
            Loop(
                is_hot=not inner and not any(CALL.match(opcode) for opcode, _ in own),
                instructions=len(own),
                fused=fused or products,
                computing=sum(_computes(instruction, is_arm) for instruction in own),
                stores=kinds.count("store"),
                reads=kinds.count("read"),
            )
        )
    return found


def _graph(function: Function, is_arm: bool) -> tuple[list[int], np.ndarray]:
    """First instructions of the blocks, and which block may follow which."""
    code, labels = function.instructions, function.labels
    jump = ARM_JUMP if is_arm else X86_JUMP
    branches = [i for i, (opcode, _) in enumerate(code) if jump.match(opcode) or END.match(opcode)]
    starts = sorted({0, *labels.values(), *(i + 1 for i in branches)} - {len(code)})
    number = {start: block for block, start in enumerate(starts)}
    edges = np.zeros((len(starts), len(starts)), bool)
    for block, end in enumerate([*starts[1:], len(code)]):
        opcode, operands = code[end - 1]
        targets: Iterable[str] = ()
        if INDIRECT.match(f"{opcode} {operands}"):
            targets = function.tabled & labels.keys()
        elif jump.match(opcode):
            targets = {operands.split(",")[-1].strip()} & labels.keys()  # others are another function's
        following = {labels[target] for target in targets}
        if not END.match(opcode):
            following.add(end)
        for start in following - {len(code)}:
            edges[block, number[start]] = True
    return starts, edges


def _nested(edges: np.ndarray, among: np.ndarray) -> Iterator[tuple[set[int], set[int]]]:
    """Each loop: its blocks, and those of them that are in loops inside it."""
    graph = edges[np.ix_(among, among)]
    count, component = connected_components(csr_array(graph), connection="strong")
    for blocks in (among[component == number] for number in range(count)):
        if len(blocks) == 1 and not edges[blocks[0], blocks[0]]:
            continue
        outside = np.setdiff1d(np.arange(len(edges)), blocks)
        entered = edges[np.ix_(outside, blocks)].any(axis=0)
        if not entered.any():  # never, or at the function's begin
            entered[0] = True
        inside = list(_nested(edges, blocks[~entered]))
        yield set(blocks.tolist()), set().union(*(inner for inner, _ in inside))
        yield from inside


def _stack(code: list[Instruction], is_arm: bool) -> re.Pattern:
    """What an operand on the stack looks like: besides the stack's pointer, the copies of it that stay."""
    if is_arm:
        copies = [
            args.split(",")[0]
            for opcode, args in code
            if opcode in ("mov", "add") and re.match(r"x(29|19), sp\b", args)
        ]
        return re.compile(rf"\[(?:{'|'.join(['sp', *sorted(set(copies))])})\b")
    copies = [m[1] for _, args in code if (m := re.match(r"%rsp, (%rbp|%rbx)$", args))]
    return re.compile(rf"-?\w*\((?:{'|'.join(['%rsp', *sorted(set(copies))])})\b")


def _access(instruction: Instruction, stack: re.Pattern, is_arm: bool) -> str | None:
    """Whether an instruction has a vector on the stack, and which way."""
    opcode, operands = instruction
    place = stack.search(operands)
    if place is None or not (ARM_VECTOR if is_arm else X86_VECTOR).search(operands):
        return None
    if is_arm:
        return None if opcode.startswith("ld1r") else "store" if opcode.startswith("st") else "read"
    if X86_SCALAR.fullmatch(opcode) or "{1to" in operands:
        return None
    behind = operands[operands.index(")", place.start()) :]
    return "read" if "," in behind else "store"


def _computes(instruction: Instruction, is_arm: bool) -> bool:
    """Whether an instruction computes with vector registers, and does not only move what they hold."""
    opcode, operands = instruction
    vector, move = (ARM_VECTOR, ARM_MOVE) if is_arm else (X86_VECTOR, X86_MOVE)
    return bool(vector.search(operands)) and not move.match(opcode)
