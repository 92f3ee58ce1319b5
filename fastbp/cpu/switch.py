"""Compiled switches over the registries: an integer code selects one of several loops.

The arms are compiled into the caller (an LLVM switch whose arms are internal functions), since functions
passed as arguments and closures over dispatchers would miss Numba's cache in every process. The switch stands
outside the loops: each arm is a whole loop over rows and registers.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import typing
from numba.extending import intrinsic


def make_switch(arms: list[Callable]) -> Any:
    """An intrinsic ``switch(code, args)`` that runs ``arms[code](*args)``, with a tuple `args`."""

    @intrinsic
    def switch(typingctx, code, args):
        def codegen(context, builder, sig, values):
            code, packed = values
            kinds = list(args)
            parts = [builder.extract_value(packed, i) for i in range(len(kinds))]
            done = builder.append_basic_block("switch.done")
            select = builder.switch(code, done)
            for number, arm in enumerate(arms):
                block = builder.append_basic_block(f"switch.{number}")
                select.add_case(ir.IntType(64)(number), block)
                builder.position_at_end(block)
                context.compile_internal(builder, arm, typing.signature(types.void, *kinds), parts)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(types.int64, args), codegen

    return switch
