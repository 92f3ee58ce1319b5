"""The constants of the formulas, in a table in memory that vector code reads where it needs them.

As literals they would be moved to registers before a loop, all of them: the compiler counts on loading them
again where registers run out, but in code for any address it cannot, and moves them to the stack and back
instead. A value read from a table that other code might write stays in memory, as an operand of the
instruction that needs it.
"""

import hashlib
import math
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType

from llvmlite import ir

from fastbp.functions import activations, losses, noise, normalisation, parametric, scalar, solvers, step

FORMULAS = (scalar, normalisation, activations, losses, noise, parametric, solvers, step)


def _floats(code: CodeType) -> Iterator[float]:
    for constant in code.co_consts:
        if isinstance(constant, float):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _floats(constant)


def _constants_of(module: ModuleType) -> Iterator[float]:
    for value in vars(module).values():
        if isinstance(value, float):
            yield value
        elif isinstance(value, FunctionType) and value.__module__ == module.__name__:
            yield from _floats(value.__code__)


VALUES = sorted({c for module in FORMULAS for c in _constants_of(module) if math.isfinite(c) and c != 0.0})
POSITIONS = {value: position for position, value in enumerate(VALUES)}
NAME = "fastbp.constants." + hashlib.sha256(repr(VALUES).encode()).hexdigest()[:16]


def load_constant(builder: ir.IRBuilder, value: float, kind: ir.Type) -> ir.Value | None:
    """A scalar of LLVM type `kind` from the table; None for a value that is not there."""
    position = POSITIONS.get(value)
    if position is None:
        return None
    name, module = f"{NAME}.{kind}", builder.module
    table = module.globals.get(name)
    if table is None:
        array = ir.ArrayType(kind, len(VALUES))
        table = ir.GlobalVariable(module, array, name)
        # Not a constant for the compiler, and one table for all that is linked together.
        table.linkage = "linkonce_odr"
        table.initializer = ir.Constant(array, VALUES)
    zero = ir.IntType(64)(0)
    return builder.load(builder.gep(table, [zero, ir.IntType(64)(position)], inbounds=True))
