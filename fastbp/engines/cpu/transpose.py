"""Transposition of blocks between rows of the data, panels of features, and rows of results."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.engines.cpu.simd import Vector, llvm_type
from fastbp.engines.cpu.vector_memory import load_first, store_first, vector_address


def transpose_registers(builder, rows, rounds: int):
    """Transpose L registers of L lanes by log2(L) rounds of shuffles; the first `rounds` are done here.

    Round r exchanges blocks of 2^r lanes between rows 2^r apart; the rounds may come in any order.
    """
    n = len(rows)
    index = ir.VectorType(ir.IntType(32), n)
    for step in (1 << r for r in range(rounds)):
        low = ir.Constant(index, [i if not i & step else n + i - step for i in range(n)])
        high = ir.Constant(index, [i + step if not i & step else n + i for i in range(n)])
        new = list(rows)
        for i in range(n):
            if not i & step:
                a, b = rows[i], rows[i + step]
                new[i] = builder.shuffle_vector(a, b, low)
                new[i + step] = builder.shuffle_vector(a, b, high)
        rows = new
    return rows


def load_transposed(builder, p, starts, vector: Vector):
    """The transpose of the L × L block whose rows begin at elements `starts` of pointer `p`.

    The last round, which exchanges halves of registers, is done by loading halves: a core has one unit for
    shuffles across a register, but several for loads.
    """
    n, half = vector.lanes, vector.lanes // 2
    kind = ir.VectorType(llvm_type(vector).element, half)
    whole = ir.Constant(ir.VectorType(ir.IntType(32), n), list(range(n)))

    def load_half(row, first):
        at = builder.gep(p, [builder.add(starts[row], ir.IntType(64)(first))])
        value = builder.load(builder.bitcast(at, kind.as_pointer()))
        value.align = vector.dtype.bitwidth // 8
        return value

    rows = [
        builder.shuffle_vector(load_half(i % half, first), load_half(i % half + half, first), whole)
        for i, first in ((i, 0 if i < half else half) for i in range(n))
    ]
    return transpose_registers(builder, rows, half.bit_length() - 1)


def store_rows(builder, rows, p, stride, vector: Vector):
    """Store registers `stride` elements apart."""
    for i, row in enumerate(rows):
        at = builder.mul(stride, ir.IntType(64)(i))
        builder.store(row, vector_address(builder, p, at, vector)).align = vector.dtype.bitwidth // 8


@intrinsic
def transpose_block(typingctx, source, row_stride, target, target_stride):
    """Transpose an L × L block from rows at `source` to rows at `target` (strides in elements)."""
    vector = Vector(source.dtype)

    def codegen(context, builder, sig, args):
        source, row_stride, target, target_stride = args
        starts = [builder.mul(row_stride, ir.IntType(64)(i)) for i in range(vector.lanes)]
        store_rows(builder, load_transposed(builder, source, starts, vector), target, target_stride, vector)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), codegen


@intrinsic
def gather_block(typingctx, source, starts, column, count, target, target_stride):
    """Transpose columns ``column … column + count`` of L gathered rows into rows at `target`.

    Row i begins at ``starts[i]`` (an offset in elements); rows of the target behind `count` become zero.
    """
    vector = Vector(source.dtype)

    def codegen(context, builder, sig, args):
        source, starts, column, count, target, target_stride = args
        n = vector.lanes
        at = [builder.load(builder.gep(starts, [ir.IntType(64)(i)])) for i in range(n)]
        at = [builder.add(start, column) for start in at]
        with builder.if_else(builder.icmp_signed("<", count, ir.IntType(64)(n))) as (partly, wholly):
            with partly:
                rows = [load_first(builder, source, start, vector, count) for start in at]
                rows = transpose_registers(builder, rows, n.bit_length() - 1)
                store_rows(builder, rows, target, target_stride, vector)
            with wholly:
                rows = load_transposed(builder, source, at, vector)
                store_rows(builder, rows, target, target_stride, vector)
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, types.CPointer(types.int64), n, n, target, n), codegen


@intrinsic
def scatter_block(typingctx, source, row_stride, target, target_stride, n_rows, count):
    """Transpose an L × L block into the first `n_rows` rows at `target`, `count` columns of each."""
    vector = Vector(source.dtype)

    def codegen(context, builder, sig, args):
        source, row_stride, target, target_stride, n_rows, count = args
        starts = [builder.mul(row_stride, ir.IntType(64)(i)) for i in range(vector.lanes)]
        for i, row in enumerate(load_transposed(builder, source, starts, vector)):
            with builder.if_then(builder.icmp_signed("<", ir.IntType(64)(i), n_rows)):
                at = builder.mul(target_stride, ir.IntType(64)(i))
                store_first(builder, row, target, at, vector, count)
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, target, n, n, n), codegen
