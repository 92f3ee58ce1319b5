"""Batch normalisation: what needs the whole batch before the network can go on.

Threads own rows; here they meet, each takes features over all rows of the batch, and they meet again. A
feature's sums run through the registers in their order, so the result does not depend on who computes them.
"""

from functools import cache

import numpy as np
from numba import types

from fastbp.engines.compiler import address_of, jit
from fastbp.engines.cpu.arena import (
    ACTIVATION,
    ACTIVATION_STRIDE,
    DELTA,
    DELTA_STRIDE,
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
def total_weight(offsets, workspace, n_registers):
    """Sum of the weights of the batch's rows."""
    w = pointer(workspace, 0)
    step = lanes(w)
    total = 0.0
    for r in range(n_registers):
        total += sum_lanes(load(w, offsets[WEIGHT] + r * step))
    return total


@jit
def statistics(op, buffers, offsets, params, workspace, n_registers, share, thread, n_threads):
    """Weighted mean and variance of a thread's features over the batch; the running ones move by `share`.

    A batch without weight takes the running ones, and leaves them alone.
    """
    w = pointer(workspace, 0)
    step = lanes(w)
    panel = 2 * step
    n = op[N_OUT]
    z, stride = advance(w, buffers[op[SOURCE], ACTIVATION]), buffers[op[SOURCE], ACTIVATION_STRIDE]
    found = advance(w, buffers[op[OTHER], ACTIVATION])
    running = pointer(params, op[OFFSET])
    weight = advance(w, offsets[WEIGHT])
    total = total_weight(offsets, workspace, n_registers)
    share = min(1.0, share * total)
    for i in range(n * thread // n_threads, n * (thread + 1) // n_threads):
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
def delta_sums(op, buffers, workspace, n_registers, thread, n_threads):
    """Sums over the batch of a thread's features: of the deltas, and of deltas times outputs."""
    w = pointer(workspace, 0)
    step = lanes(w)
    panel = 2 * step
    n = op[N_OUT]
    a, stride = advance(w, buffers[op[DESTINATION], ACTIVATION]), buffers[op[DESTINATION], ACTIVATION_STRIDE]
    delta, delta_stride = advance(w, buffers[op[DESTINATION], DELTA]), buffers[op[DESTINATION], DELTA_STRIDE]
    found = advance(w, buffers[op[OTHER], ACTIVATION])
    for i in range(n * thread // n_threads, n * (thread + 1) // n_threads):
        plain, inner = spread(w, 0.0), spread(w, 0.0)
        for r in range(n_registers):
            at = i * panel + (r % 2) * step
            d = load(delta, (r // 2) * delta_stride + at)
            plain = plain + d
            inner = fma(d, load(a, (r // 2) * stride + at), inner)
        store_scalar(found, 2 * n + i, sum_lanes(plain))
        store_scalar(found, 3 * n + i, sum_lanes(inner))


@jit
def normalised_backward(op, buffers, offsets, workspace, n_registers, first, last):
    """Deltas of the outputs into those of the inputs, for registers first … last.

    With x = (z - mean) r, weights w of the sum W: r (delta - w / W (sum delta + x sum(delta x))).
    """
    w = pointer(workspace, 0)
    step = lanes(w)
    panel = 2 * step
    n = op[N_OUT]
    a, stride = advance(w, buffers[op[DESTINATION], ACTIVATION]), buffers[op[DESTINATION], ACTIVATION_STRIDE]
    delta, delta_stride = advance(w, buffers[op[DESTINATION], DELTA]), buffers[op[DESTINATION], DELTA_STRIDE]
    found = advance(w, buffers[op[OTHER], ACTIVATION])
    total = total_weight(offsets, workspace, n_registers)
    part = 1.0 / total if total > 0.0 else 0.0
    for i in range(n):
        factor = 1.0 / sqrt(spread(w, load_scalar(found, n + i)) + EPSILON)
        plain, inner = spread(w, load_scalar(found, 2 * n + i)), spread(w, load_scalar(found, 3 * n + i))
        for r in range(first, last):
            at = i * panel + (r % 2) * step
            share = load(w, offsets[WEIGHT] + r * step) * part
            d = load(delta, (r // 2) * delta_stride + at)
            x = load(a, (r // 2) * stride + at)
            store(delta, (r // 2) * delta_stride + at, factor * (d - share * fma(x, inner, plain)))


def synced_forward_and_backward(
    table,
    buffers,
    transposed,
    offsets,
    params,
    workspace,
    n_registers,
    first,
    last,
    n_small,
    key,
    row,
    share,
    sums,
    thread,
    n_threads,
    sync,
):
    """``network.forward_and_backward`` with stops where all threads wait.

    Kernels call it by address, so that only networks that need it wait for its compilation.
    """
    n_ops, group = table.shape[0], 2 * offsets[GROUP_PANELS]
    begin = 0
    while begin < n_ops:
        end = begin + 1
        while end < n_ops and table[end, SYNC] == 0:
            end += 1
        if table[begin, SYNC]:
            barrier(sync, n_threads)
            statistics(
                table[begin], buffers, offsets, params, workspace, n_registers, share, thread, n_threads
            )
            barrier(sync, n_threads)
        start = first
        while start < last:
            stop = min(last, start // 2 * 2 + group)
            forward(
                table,
                buffers,
                offsets,
                params,
                workspace,
                start,
                stop,
                BY_BATCH,
                begin,
                end,
                n_small,
                key,
                row,
            )
            start = stop
        begin = end
    loss(table, buffers, offsets, workspace, first, last, sums)
    end = n_ops - 1
    while end > 0:
        begin = end - 1
        while begin > 0 and table[begin, SYNC] == 0:
            begin -= 1
        synced = table[begin, SYNC]
        start = first
        while start < last:
            stop = min(last, start // 2 * 2 + group)
            backward(
                table,
                buffers,
                transposed,
                offsets,
                params,
                workspace,
                start,
                stop,
                begin + synced,
                end,
                key,
                row,
            )
            start = stop
        if synced:
            barrier(sync, n_threads)
            delta_sums(table[begin], buffers, workspace, n_registers, thread, n_threads)
            barrier(sync, n_threads)
            normalised_backward(table[begin], buffers, offsets, workspace, n_registers, first, last)
        end = begin


@cache
def synced_address(dtype: np.dtype) -> int:
    """Address of `synced_forward_and_backward`."""
    integer, real = types.int64, types.float64
    table, vector = integer[:, ::1], integer[::1]
    values = (types.float32 if dtype == np.float32 else real)[::1]
    arrays = (table, table, vector, vector, values, values)
    rows = (integer,) * 6  # n_registers, first, last, few, key, row
    return address_of(
        synced_forward_and_backward, (*arrays, *rows, real, real[::1], integer, integer, vector)
    )
