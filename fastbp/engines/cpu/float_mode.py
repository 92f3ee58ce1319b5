"""The floating-point mode of a thread."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastbp.engines.cpu.simd import ARM, X86

FLUSH_X86 = 0x8040  # MXCSR: results below the normal range become zero, such operands count as zero
FLUSH_ARM = 1 << 24  # FPCR: the same


@intrinsic
def flush_subnormals(typingctx):
    """Let this thread count numbers below the normal range as zero; returns the argument of `restore_mode`.

    Moments and gradients of units that have died shrink into that range and stay there, where a core takes
    a hundred times as long for an operation.
    """

    def codegen(context, builder, sig, args):
        i32, i64 = ir.IntType(32), ir.IntType(64)
        if X86:
            place = cgutils.alloca_once(builder, i32)
            _mxcsr(builder, "stmxcsr", place)
            old = builder.load(place)
            builder.store(builder.or_(old, i32(FLUSH_X86)), place)
            _mxcsr(builder, "ldmxcsr", place)
            return builder.zext(old, i64)
        if ARM:
            get = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(i64, []), "llvm.aarch64.get.fpcr"
            )
            old = builder.call(get, [])
            _set_fpcr(builder, builder.or_(old, i64(FLUSH_ARM)))
            return old
        return i64(0)

    return types.int64(), codegen


@intrinsic
def restore_mode(typingctx, old):
    """Go back to the floating-point mode that `flush_subnormals` found."""

    def codegen(context, builder, sig, args):
        if X86:
            place = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(builder.trunc(args[0], ir.IntType(32)), place)
            _mxcsr(builder, "ldmxcsr", place)
        elif ARM:
            _set_fpcr(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


def _mxcsr(builder, name: str, place) -> None:
    address = builder.bitcast(place, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [address.type])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}"), [address])


def _set_fpcr(builder, value) -> None:
    kind = ir.FunctionType(ir.VoidType(), [value.type])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr"), [value])
