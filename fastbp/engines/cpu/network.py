"""Forward and backward through the list of ops, for a range of registers of the batch.

A register stands for as many rows of the batch as it has lanes: register r lies in panel r // 2, half r % 2.
A thread computes a contiguous range of registers, and no other thread reads or writes them in between. Ops
are in ``fastbp.engines.cpu.ops``.
"""

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import GROUP_PANELS, PREDICTION, TRAINING
from fastbp.engines.cpu.op_columns import NUMBER, RUNS_BACKWARD, WHOLE
from fastbp.engines.cpu.ops import op_backward, op_forward
from fastbp.engines.cpu.ops.interface import BY_ROW, PREDICTING, Span, part_of


@jit
def forward(net, begin, stop, span):
    """Run ops begin … stop - 1, the first op of all on the inputs in buffer 0."""
    table = net.table
    for o in range(begin, stop):
        if table[o, PREDICTION if span.mode == PREDICTING else TRAINING]:
            r = span.first
            while r < span.last:
                end = end_of_panel(r, span.last) if table[o, WHOLE] == 0 else span.last
                op_forward(table[o, NUMBER], net, o, part_of(span, r, end))
                r = end


@jit
def backward(net, begin, stop, span):
    """Run ops stop - 1 … begin: from the outputs' deltas to each layer's, and to the gradients' operands."""
    table = net.table
    for o in range(stop - 1, begin - 1, -1):
        if table[o, TRAINING] and table[o, RUNS_BACKWARD]:
            r = span.first
            while r < span.last:
                end = end_of_panel(r, span.last) if table[o, WHOLE] == 0 else span.last
                op_backward(table[o, NUMBER], net, o, part_of(span, r, end))
                r = end


@jit
def end_of_panel(r, last):
    """The end of the registers r … last - 1 that lie in the panel of r."""
    return min(last, r // 2 * 2 + 2)


@jit
def end_of_group(net, r, last):
    """The end of the registers r … last - 1 that a thread takes through the network at a time."""
    return min(last, r // 2 * 2 + 2 * net.offsets[GROUP_PANELS])


@jit
def forward_and_backward(net, first, last, n_small, key, row):
    """All of a thread's part of a step before the gradients, a group of panels at a time."""
    n_ops = net.table.shape[0]
    start = first
    while start < last:
        end = end_of_group(net, start, last)
        span = Span(start, end, n_small, key, row, BY_ROW)
        forward(net, 0, n_ops, span)
        backward(net, 0, n_ops, span)
        start = end
