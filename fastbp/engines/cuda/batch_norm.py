"""Batch normalisation: sums over the rows of a batch, feature by feature, in a fixed order.

A batch is a single pass then, and its moments lie in the arena from the forward phase on (``arena.MEAN`` …).
"""

from typing import Any

import numpy as np

from fastbp.engines.cuda import jobs as table
from fastbp.engines.cuda.arena import (
    FACTOR,
    INNER_SUM,
    MEAN,
    N_MOMENTS,
    SHARE,
    SHARE_OF_MOMENTS,
    SUM_OF_DELTAS,
    VARIANCE,
)
from fastbp.engines.cuda.jobs import AUX, CODE, JOB_KIND, STATISTICS
from fastbp.engines.cuda.lowering import Selection
from fastbp.engines.cuda.primitives import primitives
from fastbp.engines.cuda.sums import make_block_sum
from fastbp.engines.cuda.target import cuda, device, inlined
from fastbp.engines.cuda.tiling import Tiling
from fastbp.functions.normalisation import EPSILON

A, B, C, K, N = table.A, table.B, table.C, table.K, table.N


def make_features(real: type, tiling: Tiling, selection: Selection) -> Any:
    """The device function for the phase FEATURES: a block takes some features at a time over all rows.

    STATISTICS: mean and variance of the batch, towards which the running ones move; a batch without weight
    takes the running ones, and leaves them alone. DELTA_SUMS: sums for the deltas before the normalisation.
    """
    threads, averages, n_states = tiling.threads, selection.averages, selection.n_states
    block_sum = make_block_sum(threads)
    zero, one = real(0.0), real(1.0)

    @inlined
    def sum_of_lanes(pool, tid, value, column, columns, lanes):
        """The sum of a column's values over the threads that have it."""
        cuda.syncthreads()
        pool[tid] = value
        cuda.syncthreads()
        total = zero
        for i in range(lanes):
            total += pool[i * columns + column]
        return total

    @inlined
    def move_running(memory, launch, at, value, share):
        """Move a running moment; and its mean over the steps, where one is kept, for only now it stands."""
        w = memory[at] + share * (value - memory[at])
        memory[at] = w
        if averages:
            mean = launch.moments + n_states * launch.n_parameters + at
            old = memory[mean]
            memory[mean] = cuda.fma(w - old, memory[launch.coefficients + SHARE], old)

    @inlined
    def statistics(memory, jobs, job, pool, launch, n_rows, total, j, column, columns, lane, lanes, tid):
        n, values, weights = np.int32(jobs[job, N]), jobs[job, A], jobs[job, AUX]
        sums = zero
        if j < n:
            for r in range(lane, n_rows, lanes):
                sums = cuda.fma(memory[weights + r], memory[values + r * n + j], sums)
        mean = sum_of_lanes(pool, tid, sums, column, columns, lanes) / total if total > zero else zero
        sums = zero
        if j < n:
            for r in range(lane, n_rows, lanes):
                d = memory[values + r * n + j] - mean
                sums = cuda.fma(memory[weights + r] * d, d, sums)
        variance = sum_of_lanes(pool, tid, sums, column, columns, lanes) / total if total > zero else zero
        if j < n and lane == 0:
            running, found = jobs[job, K], jobs[job, B]
            share = zero
            if total > zero:
                factor = memory[launch.coefficients + FACTOR] * memory[launch.coefficients + SHARE_OF_MOMENTS]
                share = min(one, total * factor)
            else:
                mean, variance = memory[running + j], memory[running + n + j]
            move_running(memory, launch, running + j, mean, share)
            move_running(memory, launch, running + n + j, variance, share)
            memory[found + MEAN * n + j] = mean
            memory[found + VARIANCE * n + j] = variance

    @inlined
    def delta_sums(memory, jobs, job, pool, n_rows, j, column, columns, lane, lanes, tid):
        n, outputs, deltas = np.int32(jobs[job, N]), jobs[job, A], jobs[job, C]
        plain = inner = zero
        if j < n:
            for r in range(lane, n_rows, lanes):
                delta = memory[deltas + r * n + j]
                plain += delta
                inner = cuda.fma(delta, memory[outputs + r * n + j], inner)
        plain = sum_of_lanes(pool, tid, plain, column, columns, lanes)
        inner = sum_of_lanes(pool, tid, inner, column, columns, lanes)
        if j < n and lane == 0:
            found = jobs[job, B]
            memory[found + SUM_OF_DELTAS * n + j] = plain
            memory[found + INNER_SUM * n + j] = inner

    @device
    def features(memory, jobs, job, pool, launch, n_rows, place):
        rank, size, tid = place
        shift = jobs[job, CODE]
        columns, lanes = np.int32(1 << shift), np.int32(threads >> shift)
        column, lane = np.int32(tid & (columns - 1)), np.int32(tid >> shift)
        n = np.int32(jobs[job, N])
        forward = jobs[job, JOB_KIND] == STATISTICS
        total = zero
        if forward:
            for r in range(tid, n_rows, threads):
                total += memory[jobs[job, AUX] + r]
            total = block_sum(pool, tid, total)
            if tid == 0 and rank == 0:
                memory[jobs[job, B] + N_MOMENTS * n] = one / total if total > zero else zero
        for tile in range(rank, (n + columns - 1) >> shift, size):
            j = np.int32(tile * columns + column)
            if forward:
                statistics(
                    memory, jobs, job, pool, launch, n_rows, total, j, column, columns, lane, lanes, tid
                )
            else:
                delta_sums(memory, jobs, job, pool, n_rows, j, column, columns, lane, lanes, tid)

    return features


def make_standardise_backward(real: type) -> Any:
    """The device function that turns a delta after the normalisation into the one before it."""
    sqrt, one, epsilon = primitives(real)["sqrt"], real(1.0), real(EPSILON)

    @inlined
    def standardise_backward(memory, jobs, job, n, e):
        # With x = (z - mean) r, weights w of the sum W: r (delta - w / W (sum delta + x sum(delta x))).
        found, j, to = jobs[job, B], e % n, jobs[job, C]
        r = one / sqrt(memory[found + VARIANCE * n + j] + epsilon)
        plain, inner = memory[found + SUM_OF_DELTAS * n + j], memory[found + INNER_SUM * n + j]
        share = memory[jobs[job, AUX] + e // n] * memory[found + N_MOMENTS * n]
        memory[to + e] = r * (memory[to + e] - share * cuda.fma(memory[jobs[job, A] + e], inner, plain))

    return standardise_backward
