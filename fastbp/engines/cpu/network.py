"""Forward and backward through the list of ops, for a range of registers of the batch.

A register stands for as many rows of the batch as it has lanes: register r lies in panel r // 2, half r % 2.
A thread computes a contiguous range of registers, and no other thread reads or writes them in between. Ops
are in ``fastbp.engines.cpu.ops``.
"""

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import GROUP_PANELS
from fastbp.engines.cpu.op_columns import NUMBER, PREDICTION, RUNS_BACKWARD, TRAINING, WHOLE
from fastbp.engines.cpu.ops import op_backward, op_forward
from fastbp.engines.cpu.ops.interface import BY_ROW, PREDICTING, Span, op_of, part_of, pointers_of


@jit
def forward(net, begin, stop, span):
    """Run ops begin … stop - 1, the first op of all on the inputs in buffer 0."""
    for o in range(begin, stop):
        op = op_of(net, o)
        if op[PREDICTION if span.mode == PREDICTING else TRAINING]:
            r = span.first
            while r < span.last:
                end = end_of_panel(r, span.last) if op[WHOLE] == 0 else span.last
                op_forward(op[NUMBER], net, o, part_of(span, r, end))
                r = end


@jit
def backward(net, begin, stop, span):
    """Run ops stop - 1 … begin: from the outputs' deltas to each layer's, and to the gradients' operands."""
    for o in range(stop - 1, begin - 1, -1):
        op = op_of(net, o)
        if op[TRAINING] and op[RUNS_BACKWARD]:
            r = span.first
            while r < span.last:
                end = end_of_panel(r, span.last) if op[WHOLE] == 0 else span.last
                op_backward(op[NUMBER], net, o, part_of(span, r, end))
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
def forward_and_backward(network, first, last, n_small, key, row):
    """All of a thread's part of a step before the gradients, a group of panels at a time.

    `network` is an ``arguments.Network``; other functions here take its pointers.
    """
    net, n_ops = pointers_of(network), network.table.shape[0]
    start = first
    while start < last:
        end = end_of_group(net, start, last)
        span = Span(start, end, n_small, key, row, BY_ROW)
        forward(net, 0, n_ops, span)
        backward(net, 0, n_ops, span)
        start = end
