"""Batch normalisation: statistics of the whole batch, which the threads that own its rows compute together.

In a step the threads wait for each other, each takes some features over all rows of the batch, and they
wait again (``fastbp.engines.cpu.synced``). A feature's sums run through the registers in their order, so the
result does not depend on which thread computes them. With running statistics it is a parametric op.
"""

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import ACTIVATION, DELTA, WEIGHT
from fastbp.engines.cpu.op_columns import DESTINATION, N_OUT, OFFSET, OTHER, SOURCE
from fastbp.engines.cpu.ops import parametric
from fastbp.engines.cpu.ops.interface import BY_BATCH, op_of, panels
from fastbp.engines.cpu.ops.parametric import forward_with
from fastbp.engines.cpu.vector_memory import (
    advance,
    broadcast,
    lanes,
    load,
    load_scalar,
    store,
    store_scalar,
    sum_lanes,
)
from fastbp.functions.normalisation import EPSILON
from fastbp.functions.primitives import fma, sqrt

WHOLE = False
link = parametric.link
backward = parametric.backward  # with running statistics; else `backward_by_batch`


@jit
def forward(net, o, span):
    """a = (z - mean) / sqrt(variance + ε), the batch's or the running ones."""
    op = op_of(net, o)
    own = advance(net.params, op[OFFSET])
    if span.mode == BY_BATCH:
        own = panels(net, op[OTHER], ACTIVATION).start
    forward_with(net, op, span, own)


@jit
def total_weight(net, n_registers):
    """Sum of the weights of the batch's rows."""
    w = net.workspace
    n_lanes = lanes(w)
    total = 0.0
    for r in range(n_registers):
        total += sum_lanes(load(w, net.offsets[WEIGHT] + r * n_lanes))
    return total


@jit
def statistics(team, net, o, n_registers, fraction):
    """Weighted mean and variance of a thread's features over the batch; the running ones move by `fraction`.

    A batch without weight takes the running ones, and leaves them alone.
    """
    op, w = op_of(net, o), net.workspace
    n_lanes = lanes(w)
    panel = 2 * n_lanes
    n = op[N_OUT]
    z, stride = panels(net, op[SOURCE], ACTIVATION)
    found = panels(net, op[OTHER], ACTIVATION).start
    running = advance(net.params, op[OFFSET])
    weight = advance(w, net.offsets[WEIGHT])
    total = total_weight(net, n_registers)
    fraction = min(1.0, fraction * total)
    for i in range(n * team.thread // team.n_threads, n * (team.thread + 1) // team.n_threads):
        mean, variance = load_scalar(running, i), load_scalar(running, n + i)
        if total > 0.0:
            sums = broadcast(w, 0.0)
            for r in range(n_registers):
                at = (r // 2) * stride + i * panel + (r % 2) * n_lanes
                sums = fma(load(weight, r * n_lanes), load(z, at), sums)
            batch_mean = sum_lanes(sums) / total
            center = broadcast(w, batch_mean)
            sums = broadcast(w, 0.0)
            for r in range(n_registers):
                at = (r // 2) * stride + i * panel + (r % 2) * n_lanes
                d = load(z, at) - center
                sums = fma(load(weight, r * n_lanes) * d, d, sums)
            batch_variance = sum_lanes(sums) / total
            store_scalar(running, i, mean + fraction * (batch_mean - mean))
            store_scalar(running, n + i, variance + fraction * (batch_variance - variance))
            store_scalar(found, i, batch_mean)
            store_scalar(found, n + i, batch_variance)
        else:
            store_scalar(found, i, mean)
            store_scalar(found, n + i, variance)


@jit
def delta_sums(team, net, o, n_registers):
    """Sums over the batch of a thread's features: of the deltas, and of deltas times outputs."""
    op, w = op_of(net, o), net.workspace
    n_lanes = lanes(w)
    panel = 2 * n_lanes
    n = op[N_OUT]
    a, stride = panels(net, op[DESTINATION], ACTIVATION)
    delta, delta_stride = panels(net, op[DESTINATION], DELTA)
    found = panels(net, op[OTHER], ACTIVATION).start
    for i in range(n * team.thread // team.n_threads, n * (team.thread + 1) // team.n_threads):
        plain, inner = broadcast(w, 0.0), broadcast(w, 0.0)
        for r in range(n_registers):
            at = i * panel + (r % 2) * n_lanes
            d = load(delta, (r // 2) * delta_stride + at)
            plain = plain + d
            inner = fma(d, load(a, (r // 2) * stride + at), inner)
        store_scalar(found, 2 * n + i, sum_lanes(plain))
        store_scalar(found, 3 * n + i, sum_lanes(inner))


@jit
def backward_by_batch(net, o, span, n_registers):
    """Deltas of the inputs, in place, for all registers of a thread at once.

    With x = (z - mean) r, weights w of the sum W: r (delta - w / W (sum delta + x sum(delta x))).
    """
    op, w = op_of(net, o), net.workspace
    n_lanes = lanes(w)
    panel = 2 * n_lanes
    n = op[N_OUT]
    a, stride = panels(net, op[DESTINATION], ACTIVATION)
    delta, delta_stride = panels(net, op[DESTINATION], DELTA)
    found = panels(net, op[OTHER], ACTIVATION).start
    total = total_weight(net, n_registers)
    part = 1.0 / total if total > 0.0 else 0.0
    for i in range(n):
        factor = 1.0 / sqrt(broadcast(w, load_scalar(found, n + i)) + EPSILON)
        plain, inner = (
            broadcast(w, load_scalar(found, 2 * n + i)),
            broadcast(w, load_scalar(found, 3 * n + i)),
        )
        for r in range(span.first, span.last):
            at = i * panel + (r % 2) * n_lanes
            weight = load(w, net.offsets[WEIGHT] + r * n_lanes) * part
            d = load(delta, (r // 2) * delta_stride + at)
            x = load(a, (r // 2) * stride + at)
            store(delta, (r // 2) * delta_stride + at, factor * (d - weight * fma(x, inner, plain)))
