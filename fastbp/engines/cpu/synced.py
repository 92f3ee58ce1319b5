"""A step of a network whose ops need the whole batch (``fastbp.engines.cpu.ops.batch_norm``)."""

from functools import cache

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.barrier import barrier
from fastbp.engines.cpu.call import SYNCED
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.network import backward, end_of_group, forward
from fastbp.engines.cpu.op_columns import SYNC
from fastbp.engines.cpu.ops.batch_norm import backward_by_batch, delta_sums, statistics
from fastbp.engines.cpu.ops.interface import BY_BATCH, Span, part_of, pointers_of


@jit
def forward_by_groups(net, begin, stop, span):
    """``network.forward``, a group of panels at a time."""
    start = span.first
    while start < span.last:
        end = end_of_group(net, start, span.last)
        forward(net, begin, stop, part_of(span, start, end))
        start = end


@jit
def backward_by_groups(net, begin, stop, span):
    """``network.backward``, a group of panels at a time."""
    start = span.first
    while start < span.last:
        end = end_of_group(net, start, span.last)
        backward(net, begin, stop, part_of(span, start, end))
        start = end


def synced_forward_and_backward(team, network, first, last, n_registers, n_small, key, row, fraction):
    """``network.forward_and_backward`` with stops where all threads wait.

    Kernels call it by address, so that only networks that need it wait for its compilation.
    """
    net, table, n_threads, sync = pointers_of(network), network.table, team.n_threads, team.sync
    n_ops, span = table.shape[0], Span(first, last, n_small, key, row, BY_BATCH)
    begin = 0
    while begin < n_ops:
        end = begin + 1
        while end < n_ops and table[end, SYNC] == 0:
            end += 1
        if table[begin, SYNC]:
            barrier(sync, n_threads)
            statistics(team, net, begin, n_registers, fraction)
            barrier(sync, n_threads)
        forward_by_groups(net, begin, end, span)
        begin = end
    end = n_ops
    while end > 0:
        begin = end - 1
        while begin > 0 and table[begin, SYNC] == 0:
            begin -= 1
        synced = table[begin, SYNC]
        backward_by_groups(net, begin + synced, end, span)
        if synced:
            barrier(sync, n_threads)
            delta_sums(team, net, begin, n_registers)
            barrier(sync, n_threads)
            backward_by_batch(net, begin, span, n_registers)
        end = begin


@cache
def synced_address(dtype: np.dtype) -> int:
    """Address of `synced_forward_and_backward`."""
    return compiled(synced_forward_and_backward, SYNCED, dtype)
