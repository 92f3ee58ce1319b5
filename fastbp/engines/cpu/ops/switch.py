"""One switch for kernels that have the same arguments, which are compiled into the caller."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def switch(kernels: Sequence[Any]) -> Any:
    """Return the function ``call(number, net, o, span)`` of kernels: that one of `kernels`.

    Unlike a call by address, it passes no arguments in memory, and the compiler sees through it. A kernel
    with several numbers is compiled once. A number must be one of ``0 … len(kernels) - 1``.
    """

    @intrinsic
    def call(typingctx, number, net, o, span):
        arguments = net, types.intp, span
        kinds = [types.Dispatcher(kernel) for kernel in kernels]
        signatures = [typingctx.resolve_function_type(kind, arguments, {}) for kind in kinds]

        def codegen(context, builder, sig, args):
            number, *given = args
            given[1] = context.cast(builder, given[1], o, types.intp)
            start, done = builder.block, builder.append_basic_block("done")
            invalid = builder.append_basic_block("invalid")
            cases: dict[Any, ir.Block] = {}
            for kernel, kind, signature in zip(kernels, kinds, signatures, strict=True):
                if kernel not in cases:
                    cases[kernel] = builder.append_basic_block(kernel.py_func.__module__)
                    builder.position_at_end(cases[kernel])
                    context.get_function(kind, signature)(builder, given)
                    builder.branch(done)
            builder.position_at_end(invalid)
            builder.unreachable()
            builder.position_at_end(start)
            choice = builder.switch(number, invalid)
            for i, kernel in enumerate(kernels):
                choice.add_case(ir.Constant(number.type, i), cases[kernel])
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(number, net, o, span), codegen

    return call
