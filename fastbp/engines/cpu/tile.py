"""The register tile: the one place where matrix products are computed.

    C[i, :] (+)= Σ_k a[i, k] · B[k, :]        i < M,  rows of C and B one or two registers wide

All accumulators stay in registers; each step of k loads the row of B once and broadcasts one value of `a` for
each row of C. Every element of C is one chain of fused multiply-adds in ascending k, whatever M and the
width: so a result has the same bits in whichever tile it falls, for a row alone or in a batch, and for any
number of threads.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.simd import FEW_REGISTERS, FUSED, Vector, call_llvm, llvm_type, splat
from fastbp.engines.cpu.vector_memory import advance, vector_address

# Rows of a full tile: as many as leave the compiler registers enough for the broadcasts and the rows of B, of
# 32 with AVX-512 and NEON, of 16 before. ``bench/spills.py`` shows for many processors that no register is
# moved to the stack; with one row more there are some, and the time of a tile depends on where the stack
# begins.
TILE_ROWS = 5 if FEW_REGISTERS else 10

INT = ir.IntType(64)


class Rows(NamedTuple):
    """Rows of one or two registers: the first one's pointer, and the distance to the next in elements."""

    start: Any
    pitch: Any


class LeftOperand(NamedTuple):
    """The left operand of `product`: element (i, k) lies at ``i · row_stride + k · col_stride``.

    After every `k_block` of the `k_total` steps of k, the next one lies `jump` elements further instead of
    `col_stride`.
    """

    start: Any
    row_stride: Any
    col_stride: Any
    k_total: Any
    k_block: Any
    jump: Any


def _emit_tile(context, builder, vector: Vector, n_rows: int, n_registers: int, args) -> None:
    """The loop over k for a tile of fixed size; leaves the builder after it."""
    c, ldc, a, row_stride, col_stride, k_total, k_block, jump, b, ldb, add = args
    kind = llvm_type(vector)
    align = vector.dtype.bitwidth // 8
    zero = ir.Constant(kind, [0.0] * vector.lanes)

    fresh = builder.block
    resume = builder.append_basic_block("k.resume")
    loop = builder.append_basic_block("k")
    end = builder.append_basic_block("k.end")
    offsets = [builder.mul(row_stride, INT(i)) for i in range(n_rows)]
    targets = [
        [
            vector_address(builder, c, builder.add(builder.mul(ldc, INT(i)), INT(j * vector.lanes)), vector)
            for j in range(n_registers)
        ]
        for i in range(n_rows)
    ]
    builder.cbranch(builder.icmp_signed("!=", add, INT(0)), resume, loop)

    builder.position_at_end(resume)
    old = [[builder.load(address) for address in row] for row in targets]
    for value in (value for row in old for value in row):
        value.align = align
    builder.branch(loop)

    builder.position_at_end(loop)
    k, left = builder.phi(INT), builder.phi(INT)
    pa, pb = builder.phi(a.type), builder.phi(b.type)
    sums = [[builder.phi(kind) for _ in range(n_registers)] for _ in range(n_rows)]
    row = []
    for j in range(n_registers):
        value = builder.load(vector_address(builder, pb, INT(j * vector.lanes), vector))
        value.align = align
        row.append(value)
    new = []
    for i in range(n_rows):
        factor = splat(builder, builder.load(builder.gep(pa, [offsets[i]])), vector.lanes)
        new.append(
            [call_llvm(builder, FUSED, kind, [factor, b, s]) for b, s in zip(row, sums[i], strict=True)]
        )
    k_next, left_next = builder.add(k, INT(1)), builder.sub(left, INT(1))
    # `a` lies in blocks of k_block steps, `jump` elements apart (the panels of a batch).
    wrap = builder.icmp_signed("==", left_next, INT(0))
    pa_next = builder.gep(pa, [builder.select(wrap, jump, col_stride)])
    pb_next = builder.gep(pb, [ldb])
    for phi, first, following in (
        (k, INT(0), k_next),
        (left, k_block, builder.select(wrap, k_block, left_next)),
        (pa, a, pa_next),
        (pb, b, pb_next),
    ):
        phi.add_incoming(first, fresh)
        phi.add_incoming(first, resume)
        phi.add_incoming(following, loop)
    for i in range(n_rows):
        for j in range(n_registers):
            sums[i][j].add_incoming(zero, fresh)
            sums[i][j].add_incoming(old[i][j], resume)
            sums[i][j].add_incoming(new[i][j], loop)
    builder.cbranch(builder.icmp_signed("<", k_next, k_total), loop, end)

    builder.position_at_end(end)
    for i in range(n_rows):
        for j in range(n_registers):
            builder.store(new[i][j], targets[i][j]).align = align


@jit
def rows_from(a, i):
    """A left operand without its first `i` rows."""
    start = advance(a.start, i * a.row_stride)
    return LeftOperand(start, a.row_stride, a.col_stride, a.k_total, a.k_block, a.jump)


@intrinsic
def _product(typingctx, c, a, b, add, n_rows, n_registers):
    vector = Vector(c.types[0].dtype)

    def codegen(context, builder, sig, args):
        *operands, add, n_rows, n_registers = args
        flat = [part for operand in operands for part in cgutils.unpack_tuple(builder, operand)]
        done = builder.append_basic_block("done")
        size = builder.add(builder.mul(n_registers, INT(TILE_ROWS + 1)), n_rows)
        switch = builder.switch(size, done)
        for registers in (1, 2):
            for rows in range(1, TILE_ROWS + 1):
                case = builder.append_basic_block(f"tile{rows}x{registers}")
                switch.add_case(INT(registers * (TILE_ROWS + 1) + rows), case)
                builder.position_at_end(case)
                _emit_tile(context, builder, vector, rows, registers, (*flat, add))
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    n = types.intp
    return types.void(c, a, b, n, n, n), codegen


@jit
def product(c, a, b, add, n_rows, n_registers):
    """One tile of a matrix product.

    Parameters
    ----------
    c : Rows, out or in/out
        (n_rows, n_registers · lanes).
    a : LeftOperand, in
        (n_rows, k_total).
    b : Rows, in
        (k_total, n_registers · lanes).
    add : int
        1 to continue from the values in `c`: the chain of additions is the same as without the interruption.
    n_rows : int
        1 to TILE_ROWS.
    n_registers : int
        1 or 2.
    """
    _product(c, a, b, add, n_rows, n_registers)


def product_types(real: types.Float) -> tuple[types.Type, ...]:
    """The types of the arguments of `product` for numbers of type `real`."""
    n, p = types.intp, types.CPointer(real)
    rows = types.BaseTuple.from_types((p, n), Rows)
    return rows, types.BaseTuple.from_types((p, n, n, n, n, n), LeftOperand), rows, n, n, n
