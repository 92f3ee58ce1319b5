"""Modes of a tile of a weight gradient: kept, added up, or applied by the solver at once.

Where the norm of the gradient has a limit it is always kept first, with sums of its squares.
"""

from typing import Any

from fastbp.engines.cuda import jobs as table
from fastbp.engines.cuda.arena import GRADIENT_NORM, LIMIT, PENALTY, SCALE, SHARE, SHARE_OF_DECAY, STRENGTH
from fastbp.engines.cuda.jobs import CONSTANTS, ONE_M
from fastbp.engines.cuda.lowering import Selection, formulas
from fastbp.engines.cuda.primitives import primitives
from fastbp.engines.cuda.sums import make_block_sum
from fastbp.engines.cuda.target import cuda, device, inlined
from fastbp.engines.cuda.tiling import Tiling

C = table.C

# Modes of a tile of the gradient.
APPLY, WRITE, ADD, APPLY_STORED = range(4)


def make_gradient_tile(real: type, tiling: Tiling, selection: Selection) -> Any:
    """The device function for one solver; what the selection leaves out costs nothing.

    It takes the tile from `pool`, or in the mode APPLY_STORED from the arena.
    """
    do, n_states, options = formulas(real, selection), selection.n_states, selection.step
    step, penalised, updates, l1 = do.step, do.penalised_gradient, selection.solver is not None, options.l1
    # With a limit of the norms of units the mean moves after it.
    averages, threads = selection.averages and not selection.max_norm, tiling.threads
    clip_norm, factors = options.rescale, options.factors
    block_sum = make_block_sum(threads)
    zero, half = real(0.0), real(0.5)

    @inlined
    def keep(memory, jobs, job, pool, launch, mode, tile, tid, width, m0, n0, m_end, n_end):
        stored = launch.gradient + jobs[job, C]
        coefficients, squares = launch.coefficients, zero
        for e in range(tid, width * width, threads):
            m, n = m0 + e // width, n0 + e % width
            if m < m_end and n < n_end:
                at = stored + m * n_end + n
                g = pool[e] if mode == WRITE else memory[at] + pool[e]
                memory[at] = g
                if clip_norm:
                    if m != jobs[job, ONE_M]:
                        w = memory[jobs[job, C] + m * n_end + n]
                        g = penalised(w, g, memory[coefficients + PENALTY], memory[coefficients + STRENGTH])
                    squares = cuda.fma(g, g, squares)
        if clip_norm:
            squares = block_sum(pool, tid, squares)
            if tid == 0:
                memory[launch.squares + tile] = squares

    @inlined
    def apply(memory, jobs, job, pool, launch, mode, tile, tid, width, m0, n0, m_end, n_end):
        coefficients = launch.coefficients
        c = (
            memory[coefficients],
            memory[coefficients + 1],
            memory[coefficients + 2],
            memory[coefficients + 3],
            memory[coefficients + 4],
            memory[coefficients + 5],
        )
        penalty = memory[coefficients + PENALTY]
        strength, decay = memory[coefficients + STRENGTH], memory[coefficients + SHARE_OF_DECAY]
        limit = memory[coefficients + LIMIT]
        scale = memory[coefficients + SCALE] if clip_norm else limit
        rates = jobs[job, CONSTANTS]
        stored, first = launch.gradient, launch.moments
        second = first + launch.n_parameters
        third = second + launch.n_parameters
        if averages:
            share, mean = memory[coefficients + SHARE], first + n_states * launch.n_parameters
        bias_row = jobs[job, ONE_M]
        squares = sizes = zero
        for e in range(tid, width * width, threads):
            m, n = m0 + e // width, n0 + e % width
            if m < m_end and n < n_end:
                at = jobs[job, C] + m * n_end + n
                g = memory[stored + at] if clip_norm or mode == APPLY_STORED else pool[e]
                w = memory[at]
                is_bias = m == bias_row
                factor = memory[rates + (1 if is_bias else 0)] if factors else limit
                strengths = (
                    zero if is_bias else penalty,
                    zero if is_bias else strength,
                    zero if is_bias else decay,
                    limit,
                    scale,
                    factor,
                )
                s = memory[first + at] if n_states > 0 else zero
                t = memory[second + at] if n_states > 1 else zero
                u = memory[third + at] if n_states > 2 else zero
                w, s, t, u, squares, sizes = step(w, g, s, t, u, c, strengths, squares, sizes)
                memory[at] = w
                if n_states > 0:
                    memory[first + at] = s
                if n_states > 1:
                    memory[second + at] = t
                if n_states > 2:
                    memory[third + at] = u
                if averages:
                    old = memory[mean + at]
                    memory[mean + at] = cuda.fma(w - old, share, old)
        if l1 or penalty != zero:
            penalties = block_sum(pool, tid, half * squares + sizes)
            if tid == 0:
                memory[launch.penalties + tile] = penalties

    @inlined
    def gradient_tile(memory, jobs, job, pool, launch, mode, tile, tid, width, m0, n0, m_end, n_end):
        if mode == WRITE or mode == ADD:
            keep(memory, jobs, job, pool, launch, mode, tile, tid, width, m0, n0, m_end, n_end)
        elif updates:
            apply(memory, jobs, job, pool, launch, mode, tile, tid, width, m0, n0, m_end, n_end)

    return gradient_tile


def make_scale_gradient(real: type, tiling: Tiling) -> Any:
    """The device function that computes the factor by which a gradient has a norm of at most the limit.

    Every block adds up the same sums in the same order and writes the same number: none waits for another.
    """
    block_sum = make_block_sum(tiling.threads)
    sqrt = primitives(real)["sqrt"]
    threads, zero, one = tiling.threads, real(0.0), real(1.0)

    @device
    def scale_gradient(memory, pool, launch, tid):
        squares = zero
        for tile in range(tid, launch.penalty_tiles, threads):
            squares += memory[launch.squares + tile]
        norm, limit = sqrt(block_sum(pool, tid, squares)), memory[launch.coefficients + GRADIENT_NORM]
        if tid == 0:
            memory[launch.coefficients + SCALE] = limit / norm if norm > limit else one
        cuda.syncthreads()

    return scale_gradient
