"""Batch normalisation: what needs the whole batch before the network can go on.

Threads own rows; here they meet, each takes features over all rows of the batch, and they meet again. A
feature's sums run through the registers in their order, so the result does not depend on who computes them.
"""

from functools import cache

import numpy as np

from fastbp.engines.compiler import address_of, jit
from fastbp.engines.cpu.arena import (
    ACTIVATION,
    DELTA,
    DESTINATION,
    GROUP_PANELS,
    N_OUT,
    OFFSET,
    OTHER,
    SOURCE,
    SYNC,
    WEIGHT,
)
from fastbp.engines.cpu.barrier import barrier
from fastbp.engines.cpu.blocks import panels_of
from fastbp.engines.cpu.call import SYNCED
from fastbp.engines.cpu.network import BY_BATCH, backward, forward, loss
from fastbp.engines.cpu.vector_memory import (
    advance,
    lanes,
    load,
    load_scalar,
    pointer,
    spread,
    store,
    store_scalar,
    sum_lanes,
)
from fastbp.functions.normalisation import EPSILON
from fastbp.functions.primitives import fma, sqrt


@jit
def total_weight(net, n_registers):
    """Sum of the weights of the batch's rows."""
    w = pointer(net.workspace, 0)
    step = lanes(w)
    total = 0.0
    for r in range(n_registers):
        total += sum_lanes(load(w, net.offsets[WEIGHT] + r * step))
    return total


@jit
def statistics(team, net, o, n_registers, share):
    """Weighted mean and variance of a thread's features over the batch; the running ones move by `share`.

    A batch without weight takes the running ones, and leaves them alone.
    """
    op, buffers, w = net.table[o], net.buffers, pointer(net.workspace, 0)
    step = lanes(w)
    panel = 2 * step
    n = op[N_OUT]
    z, stride = panels_of(w, buffers, op[SOURCE], ACTIVATION)
    found = advance(w, buffers[op[OTHER], ACTIVATION])
    running = pointer(net.params, op[OFFSET])
    weight = advance(w, net.offsets[WEIGHT])
    total = total_weight(net, n_registers)
    share = min(1.0, share * total)
    for i in range(n * team.thread // team.n_threads, n * (team.thread + 1) // team.n_threads):
        mean, variance = load_scalar(running, i), load_scalar(running, n + i)
        if total > 0.0:
            sums = spread(w, 0.0)
            for r in range(n_registers):
                at = (r // 2) * stride + i * panel + (r % 2) * step
                sums = fma(load(weight, r * step), load(z, at), sums)
            batch_mean = sum_lanes(sums) / total
            center = spread(w, batch_mean)
            sums = spread(w, 0.0)
            for r in range(n_registers):
                at = (r // 2) * stride + i * panel + (r % 2) * step
                d = load(z, at) - center
                sums = fma(load(weight, r * step) * d, d, sums)
            batch_variance = sum_lanes(sums) / total
            store_scalar(running, i, mean + share * (batch_mean - mean))
            store_scalar(running, n + i, variance + share * (batch_variance - variance))
            store_scalar(found, i, batch_mean)
            store_scalar(found, n + i, batch_variance)
        else:
            store_scalar(found, i, mean)
            store_scalar(found, n + i, variance)


@jit
def delta_sums(team, net, o, n_registers):
    """Sums over the batch of a thread's features: of the deltas, and of deltas times outputs."""
    op, buffers, w = net.table[o], net.buffers, pointer(net.workspace, 0)
    step = lanes(w)
    panel = 2 * step
    n = op[N_OUT]
    a, stride = panels_of(w, buffers, op[DESTINATION], ACTIVATION)
    delta, delta_stride = panels_of(w, buffers, op[DESTINATION], DELTA)
    found = advance(w, buffers[op[OTHER], ACTIVATION])
    for i in range(n * team.thread // team.n_threads, n * (team.thread + 1) // team.n_threads):
        plain, inner = spread(w, 0.0), spread(w, 0.0)
        for r in range(n_registers):
            at = i * panel + (r % 2) * step
            d = load(delta, (r // 2) * delta_stride + at)
            plain = plain + d
            inner = fma(d, load(a, (r // 2) * stride + at), inner)
        store_scalar(found, 2 * n + i, sum_lanes(plain))
        store_scalar(found, 3 * n + i, sum_lanes(inner))


@jit
def normalised_backward(net, o, n_registers, first, last):
    """Deltas of the outputs into those of the inputs, for registers first … last.

    With x = (z - mean) r, weights w of the sum W: r (delta - w / W (sum delta + x sum(delta x))).
    """
    op, buffers, w = net.table[o], net.buffers, pointer(net.workspace, 0)
    step = lanes(w)
    panel = 2 * step
    n = op[N_OUT]
    a, stride = panels_of(w, buffers, op[DESTINATION], ACTIVATION)
    delta, delta_stride = panels_of(w, buffers, op[DESTINATION], DELTA)
    found = advance(w, buffers[op[OTHER], ACTIVATION])
    total = total_weight(net, n_registers)
    part = 1.0 / total if total > 0.0 else 0.0
    for i in range(n):
        factor = 1.0 / sqrt(spread(w, load_scalar(found, n + i)) + EPSILON)
        plain, inner = spread(w, load_scalar(found, 2 * n + i)), spread(w, load_scalar(found, 3 * n + i))
        for r in range(first, last):
            at = i * panel + (r % 2) * step
            share = load(w, net.offsets[WEIGHT] + r * step) * part
            d = load(delta, (r // 2) * delta_stride + at)
            x = load(a, (r // 2) * stride + at)
            store(delta, (r // 2) * delta_stride + at, factor * (d - share * fma(x, inner, plain)))


def synced_forward_and_backward(team, net, first, last, n_registers, n_small, key, row, share):
    """``network.forward_and_backward`` with stops where all threads wait.

    Kernels call it by address, so that only networks that need it wait for its compilation.
    """
    table, n_threads, sync = net.table, team.n_threads, team.sync
    n_ops, group = table.shape[0], 2 * net.offsets[GROUP_PANELS]
    begin = 0
    while begin < n_ops:
        end = begin + 1
        while end < n_ops and table[end, SYNC] == 0:
            end += 1
        if table[begin, SYNC]:
            barrier(sync, n_threads)
            statistics(team, net, begin, n_registers, share)
            barrier(sync, n_threads)
        start = first
        while start < last:
            stop = min(last, start // 2 * 2 + group)
            forward(net, start, stop, BY_BATCH, begin, end, n_small, key, row)
            start = stop
        begin = end
    loss(net, first, last)
    end = n_ops - 1
    while end > 0:
        begin = end - 1
        while begin > 0 and table[begin, SYNC] == 0:
            begin -= 1
        synced = table[begin, SYNC]
        start = first
        while start < last:
            stop = min(last, start // 2 * 2 + group)
            backward(net, start, stop, begin + synced, end, key, row)
            start = stop
        if synced:
            barrier(sync, n_threads)
            delta_sums(team, net, begin, n_registers)
            barrier(sync, n_threads)
            normalised_backward(net, begin, n_registers, first, last)
        end = begin


@cache
def synced_address(dtype: np.dtype) -> int:
    """Address of `synced_forward_and_backward`."""
    return address_of(synced_forward_and_backward, SYNCED.types_for(dtype))
