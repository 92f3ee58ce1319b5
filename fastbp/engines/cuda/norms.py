"""Norms of units: their limit, applied to the weights after the whole step."""

from typing import Any

import numpy as np

from fastbp.engines.cuda import jobs as table
from fastbp.engines.cuda.arena import LARGEST_NORM, SHARE
from fastbp.engines.cuda.jobs import CODE, FIRST_TILE
from fastbp.engines.cuda.lowering import Selection
from fastbp.engines.cuda.primitives import primitives
from fastbp.engines.cuda.target import cuda, device
from fastbp.engines.cuda.tiling import Tiling

C, K, M, N = table.C, table.K, table.M, table.N


def make_limit_norms(real: type, tiling: Tiling, selection: Selection) -> Any:
    """The device function for the phase NORMS: a block takes some units at a time.

    It scales the incoming weights of each, its bias left out, to a Euclidean norm of at most the limit; and
    it moves the running mean of the weights, where there is one, for only now they stand.
    """
    threads, averages, n_states = tiling.threads, selection.averages, selection.n_states
    sqrt = primitives(real)["sqrt"]
    zero, one = real(0.0), real(1.0)

    @device
    def limit_norms(memory, jobs, first_job, last_job, pool, launch, place):
        rank, size, tid = place
        limit, share = memory[launch.coefficients + LARGEST_NORM], memory[launch.coefficients + SHARE]
        mean = launch.moments + n_states * launch.n_parameters
        for job in range(first_job, last_job):
            shift = jobs[job, CODE]
            columns, lanes = np.int32(1 << shift), np.int32(threads >> shift)
            column, lane = np.int32(tid & (columns - 1)), np.int32(tid >> shift)
            n_inputs, n_rows, n_units = np.int32(jobs[job, K]), np.int32(jobs[job, M]), np.int32(jobs[job, N])
            n_tiles = np.int32((n_units + columns - 1) >> shift)
            # All tiles of the phase are dealt to the blocks in turn.
            for tile in range(np.int32((rank - jobs[job, FIRST_TILE]) % size), n_tiles, size):
                unit = np.int32(tile * columns + column)
                first = jobs[job, C] + unit
                squares = zero
                if unit < n_units:
                    for i in range(lane, n_inputs, lanes):
                        w = memory[np.uint64(first + i * n_units)]
                        squares = cuda.fma(w, w, squares)
                cuda.syncthreads()
                pool[tid] = squares
                cuda.syncthreads()
                total = zero
                for i in range(lanes):
                    total += pool[i * columns + column]
                norm = sqrt(total)
                factor = limit / norm if norm > limit else one
                if unit < n_units:
                    for i in range(lane, n_rows, lanes):
                        at = first + i * n_units
                        w = memory[np.uint64(at)]
                        if i < n_inputs:
                            w *= factor
                            memory[np.uint64(at)] = w
                        if averages:
                            old = memory[np.uint64(mean + at)]
                            memory[np.uint64(mean + at)] = cuda.fma(w - old, share, old)

    return limit_norms
