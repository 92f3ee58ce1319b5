"""A dense layer: products of its parameter block with the panels of the batch."""

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import ACTIVATION, CONSTANT, DELTA, FEW_ROWS, N_BUFFER_FIELDS, ROWS_PADDED
from fastbp.engines.cpu.blocks import (
    Block,
    few_rows_times_block,
    times_block,
    times_transposed_block,
    transpose_registers_of,
)
from fastbp.engines.cpu.op_columns import (
    ACCUMULATES,
    COLS,
    DESTINATION,
    IN_MAJOR,
    LAYOUT,
    LD,
    LEARNS,
    N_IN,
    N_OUT,
    OFFSET,
    ROWS,
    SOURCE,
)
from fastbp.engines.cpu.ops.interface import Linked, op_of, panels
from fastbp.engines.cpu.vector_memory import advance
from fastbp.plan.network import Op

WHOLE = True  # weights stay in the nearest cache while the panels of the batch pass by


@jit
def forward(net, o, span):
    """z = Wᵀ·x + b, the bias being the weight of a feature that is always 1."""
    op = op_of(net, o)
    x, z = panels(net, op[SOURCE], ACTIVATION), panels(net, op[DESTINATION], ACTIVATION)
    block = Block(advance(net.params, op[OFFSET]), op[ROWS], op[LD])
    if op[LAYOUT] == IN_MAJOR and span.n_small:
        constant = net.buffers[op[DESTINATION] * N_BUFFER_FIELDS + CONSTANT]
        scratch = advance(net.workspace, net.offsets[FEW_ROWS])
        few_rows_times_block(z, block, op[N_OUT], x, span.n_small, constant, scratch)
    elif op[LAYOUT] == IN_MAJOR:
        times_block(z, block, op[N_OUT], x, span.first, span.last, 0)
    else:
        times_transposed_block(z, block, op[N_OUT], op[COLS], x, span.first, span.last, 0)


@jit
def backward(net, o, span):
    """Deltas of the inputs, W·delta, where anything below learns, and the gradient's transposed operand."""
    op = op_of(net, o)
    first, last, cols = span.first, span.last, op[COLS]
    delta = panels(net, op[DESTINATION], DELTA)
    before = panels(net, op[SOURCE], DELTA)  # of the inputs there are none, and none are written
    operand, rows_padded = advance(net.workspace, net.transposed[o]), net.offsets[ROWS_PADDED]
    block = Block(advance(net.params, op[OFFSET]), op[ROWS], op[LD])
    if op[LAYOUT] == IN_MAJOR:
        transpose_registers_of(delta, cols, operand, rows_padded, first, last)
        if op[LEARNS]:
            times_transposed_block(before, block, op[N_IN], cols, delta, first, last, op[ACCUMULATES])
    else:
        inputs = panels(net, op[SOURCE], ACTIVATION)
        transpose_registers_of(inputs, cols, operand, rows_padded, first, last)
        if op[LEARNS]:
            times_block(before, block, op[N_IN], delta, first, last, op[ACCUMULATES])


def link(op: Op, dtype: np.dtype) -> Linked:
    """No registered function."""
    return Linked(fills=op.source)
