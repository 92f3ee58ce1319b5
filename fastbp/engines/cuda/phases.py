"""The work of a block in a phase: gather rows, products and the ops after them, formulas of rows, norms."""

from typing import Any, NamedTuple

import numpy as np

from fastbp.engines.cuda import jobs as table
from fastbp.engines.cuda.arena import FACTOR, NOWHERE
from fastbp.engines.cuda.batch_norm import make_features
from fastbp.engines.cuda.elements import make_elements
from fastbp.engines.cuda.gradient import APPLY_STORED, make_gradient_tile, make_scale_gradient
from fastbp.engines.cuda.jobs import (
    ADDED,
    AUX,
    BACKWARD,
    CODE,
    CONSTANTS,
    DISTURBED,
    DRAW,
    ELEMENT_BACKWARD,
    FIRST_TILE,
    FORWARD,
    GRADIENT,
    JOB_KIND,
    LARGEST,
    LOSS,
    NOISE,
    ONE_K,
    ONE_M,
    ROW_BACKWARD,
    ROW_FORWARD,
    SHAPE,
    SUM,
    UNROLLED,
)
from fastbp.engines.cuda.lowering import Selection, formulas
from fastbp.engines.cuda.norms import make_limit_norms
from fastbp.engines.cuda.product import make_product
from fastbp.engines.cuda.sums import make_block_sum
from fastbp.engines.cuda.target import device, inlined
from fastbp.engines.cuda.tiling import LARGE, SMALL, Tiling
from fastbp.engines.cuda.uniforms import make_uniform, op_key
from fastbp.functions.activations import ROW_ACTIVATIONS

# The columns with the short names of the algebra.
A, A_ROW, A_COL = table.A, table.A_ROW, table.A_COL
B, B_ROW, B_COL, C = table.B, table.B_ROW, table.B_COL, table.C
M, N, K = table.M, table.N, table.K


class Place(NamedTuple):
    """A thread's place: the block's number among `size`, and the thread's within it; all in 32 bits."""

    rank: Any
    size: Any
    tid: Any


class Data(NamedTuple):
    """The rows of the data, flat, and their numbers in the order of their use."""

    X: Any
    targets: Any
    weights: Any
    order: Any


class Work(NamedTuple):
    """The device functions for the kinds of phases."""

    gather: Any
    tiles: Any
    rows: Any
    norms: Any
    elements: Any
    features: Any


def make_work(real: type, tiling: Tiling, only_small: bool, selection: Selection) -> Work:
    """Device functions for one dtype; `only_small` leaves out the large tiles."""
    do = formulas(real, selection)
    activate, activate_backward, loss_of_row = do.activate, do.activate_backward, do.loss
    activate_row, activate_row_backward, index_of_largest = (
        do.activate_row,
        do.activate_row_backward,
        do.index_of_largest,
    )
    disturb, disturb_backward, disturb_inputs = do.disturb, do.disturb_backward, do.disturb_inputs
    noisy, noisy_inputs, uniform = bool(selection.noises), bool(selection.input_noises), make_uniform(real)
    adds, clip_norm = selection.adds, selection.clip_norm
    scale_gradient = make_scale_gradient(real, tiling)
    threads, rows_of_tile = tiling.threads, tiling.rows_of_tile
    small_width, large_width = tiling.width(SMALL), tiling.width(LARGE)
    small_product = make_product(real, tiling, SMALL)
    large_product = small_product if only_small else make_product(real, tiling, LARGE)
    block_sum = make_block_sum(threads)
    gradient_tile = make_gradient_tile(real, tiling, selection)
    trains, elements = selection.loss is not None, selection.elements
    copies = any(ROW_ACTIVATIONS[name].from_input for name in selection.row_activations)
    zero, one = real(0.0), real(1.0)

    @device
    def gather(memory, jobs, job, last_job, data, launch, at, start, n_rows, key, place):
        """Rows ``order[at : at + n_rows]`` of the data into the arena: from row `start` of the batch on."""
        X, targets, weights, order = data
        rank, size, tid = place
        shift = jobs[job, CODE]
        columns = 1 << shift
        lanes = threads >> shift
        column, lane = tid & (columns - 1), tid >> shift
        n_inputs, n_targets = jobs[job, N], jobs[job, K]
        to_inputs, to_targets, to_weights = jobs[job, A], jobs[job, B], jobs[job, AUX]
        for first in range(rank * lanes * UNROLLED, n_rows, size * lanes * UNROLLED):
            # Several rows at a time, so that their loads are on their way together.
            r0 = first + lane
            r1, r2, r3 = r0 + lanes, r0 + 2 * lanes, r0 + 3 * lanes
            last = n_rows - 1
            s0 = order[at + min(r0, last)]
            s1 = order[at + min(r1, last)]
            s2 = order[at + min(r2, last)]
            s3 = order[at + min(r3, last)]
            for j in range(column, n_inputs, columns):
                v0 = X[s0 * n_inputs + j]
                v1 = X[s1 * n_inputs + j]
                v2 = X[s2 * n_inputs + j]
                v3 = X[s3 * n_inputs + j]
                if r0 < n_rows:
                    memory[to_inputs + r0 * n_inputs + j] = v0
                if r1 < n_rows:
                    memory[to_inputs + r1 * n_inputs + j] = v1
                if r2 < n_rows:
                    memory[to_inputs + r2 * n_inputs + j] = v2
                if r3 < n_rows:
                    memory[to_inputs + r3 * n_inputs + j] = v3
            for i in range(UNROLLED):
                r = r0 + i * lanes
                if r < n_rows:
                    s = order[at + r]
                    for j in range(column, n_targets, columns):
                        memory[to_targets + r * n_targets + j] = targets[s * n_targets + j]
                    if column == 0:
                        memory[to_weights + r] = weights[s] if launch.has_weights == 1 else one
        if noisy_inputs:
            # Each thread continues with the rows that it has gathered itself: no barrier is needed.
            for noise in range(job + 1, last_job):
                noise_key, p = op_key(key, jobs[noise, DRAW]), memory[jobs[noise, CONSTANTS] :]
                for first in range(rank * lanes * UNROLLED, n_rows, size * lanes * UNROLLED):
                    for r in range(first + lane, min(first + lanes * UNROLLED, n_rows), lanes):
                        for j in range(column, n_inputs, columns):
                            i = to_inputs + r * n_inputs + j
                            u = uniform(noise_key, (start + r) * n_inputs + j)
                            memory[i] = disturb_inputs(jobs[noise, NOISE], memory[i], u, p)

    @inlined
    def forward_tile(memory, jobs, job, pool, tid, width, m0, n0, m_end, n_end, start, key):
        code, to, kept = jobs[job, CODE], jobs[job, C], jobs[job, AUX]
        if noisy:
            noise, disturbed = jobs[job, NOISE], jobs[job, DISTURBED]
            noise_key, p = op_key(key, jobs[job, DRAW]), memory[jobs[job, CONSTANTS] :]
        if adds:
            added, to_sum = jobs[job, ADDED], jobs[job, SUM]
        for e in range(tid, width * width, threads):
            m, n = m0 + e // width, n0 + e % width
            if m < m_end and n < n_end:
                at = m * n_end + n
                value = activate(code, pool[e])
                memory[to + at] = value
                if noisy and noise != NOWHERE:
                    value = disturb(noise, value, uniform(noise_key, start * n_end + at), p)
                    memory[disturbed + at] = value
                if adds and added != NOWHERE:
                    memory[to_sum + at] = value + memory[added + at]
                if kept != NOWHERE:
                    memory[kept + at] = pool[e]

    @inlined
    def backward_tile(memory, jobs, job, pool, tid, width, m0, n0, m_end, n_end, start, key):
        code, to, values = jobs[job, CODE], jobs[job, C], jobs[job, AUX]
        if noisy:
            noise = jobs[job, NOISE]
            noise_key, p = op_key(key, jobs[job, DRAW]), memory[jobs[job, CONSTANTS] :]
        if adds:
            added, to_sum = jobs[job, ADDED], jobs[job, SUM]
        for e in range(tid, width * width, threads):
            m, n = m0 + e // width, n0 + e % width
            if m < m_end and n < n_end:
                at = m * n_end + n
                delta = pool[e]
                if adds and added != NOWHERE:
                    delta += memory[added + at]
                if adds and to_sum != NOWHERE:
                    memory[to_sum + at] = delta
                if noisy and noise != NOWHERE:
                    delta = disturb_backward(noise, delta, uniform(noise_key, start * n_end + at), p)
                memory[to + at] = activate_backward(code, delta, memory[values + at])

    @inlined
    def one_tile(memory, jobs, job, pool, launch, mode, tile, start, n_rows, key, tid):
        """Tile `tile` of a phase, one of job `job`; nothing where it lies beyond the rows of the batch."""
        kind, large = jobs[job, JOB_KIND], jobs[job, SHAPE] == LARGE
        width = large_width if large else small_width
        m_end = np.int32(jobs[job, M] if jobs[job, M] >= 0 else n_rows)
        n_end = np.int32(jobs[job, N])
        k_end = np.int32(jobs[job, K] if jobs[job, K] >= 0 else n_rows)
        in_row = np.int32((n_end + width - 1) // width)
        local = np.int32(tile - jobs[job, FIRST_TILE])
        m0, n0 = np.int32(local // in_row * width), np.int32(local % in_row * width)
        if m0 >= m_end:
            return
        if kind != GRADIENT or mode != APPLY_STORED:
            a, a_row, a_col = jobs[job, A], jobs[job, A_ROW], jobs[job, A_COL]
            b, b_row, b_col = jobs[job, B], jobs[job, B_ROW], jobs[job, B_COL]
            one_m, one_k = jobs[job, ONE_M], jobs[job, ONE_K]
            if large and not only_small:
                large_product(
                    memory, pool, tid, a, a_row, a_col, one_m, one_k, b, b_row, b_col,
                    m0, n0, m_end, n_end, k_end,
                )  # fmt: skip
            else:
                small_product(
                    memory, pool, tid, a, a_row, a_col, one_m, one_k, b, b_row, b_col,
                    m0, n0, m_end, n_end, k_end,
                )  # fmt: skip
        if kind == FORWARD:
            forward_tile(memory, jobs, job, pool, tid, width, m0, n0, m_end, n_end, start, key)
        if trains:
            if kind == BACKWARD:
                backward_tile(memory, jobs, job, pool, tid, width, m0, n0, m_end, n_end, start, key)
            elif kind == GRADIENT:
                gradient_tile(memory, jobs, job, pool, launch, mode, tile, tid, width, m0, n0, m_end, n_end)

    @device
    def tiles(memory, jobs, first_job, last_job, pool, launch, mode, start, n_rows, key, place):
        """This block's tiles of a phase; the jobs' tiles are numbered consecutively."""
        rank, size, tid = place
        final = last_job - 1
        width = large_width if jobs[final, SHAPE] == LARGE else small_width
        m_end = jobs[final, M] if jobs[final, M] >= 0 else n_rows
        n_tiles = np.int32(
            jobs[final, FIRST_TILE] + ((m_end + width - 1) // width) * ((jobs[final, N] + width - 1) // width)
        )
        job = np.int32(first_job)
        if clip_norm and mode == APPLY_STORED:
            scale_gradient(memory, pool, launch, tid)
        for tile in range(rank, n_tiles, size):
            while job < final and tile >= jobs[job + 1, FIRST_TILE]:
                job = np.int32(job + 1)
            one_tile(memory, jobs, job, pool, launch, mode, tile, start, n_rows, key, tid)

    @device
    def one_row(memory, jobs, job, row, factor):
        """One job for one row of the batch; its loss, 0 of the other jobs."""
        kind, code, n = jobs[job, JOB_KIND], jobs[job, CODE], jobs[job, N]
        values = (memory, jobs[job, A] + row * n, 1)
        deltas = (memory, jobs[job, C] + row * n, 1)
        if kind == ROW_FORWARD:
            if copies:
                source = jobs[job, AUX] + row * n
                for j in range(n):
                    memory[values[1] + j] = memory[source + j]
            activate_row(code, values, n)
        if trains:
            if kind == LOSS:
                n_targets = jobs[job, K]
                wanted = (memory, jobs[job, B] + row * n_targets, 1)
                return loss_of_row(
                    values, wanted, deltas, n, memory[jobs[job, AUX] + row] * factor, memory[code:]
                )
            if kind == ROW_BACKWARD:
                activate_row_backward(code, deltas, values, n)
            elif kind == ELEMENT_BACKWARD:
                for j in range(n):
                    at = deltas[1] + j
                    memory[at] = activate_backward(code, memory[at], memory[values[1] + j])
        elif kind == LARGEST:
            memory[jobs[job, C] + row] = index_of_largest(values, n, zero)
        return zero

    @device
    def rows(memory, jobs, first_job, last_job, pool, launch, n_pass, n_rows, place):
        """This block's rows of the batch through all jobs of a phase, a thread a row."""
        rank, size, tid = place
        factor = memory[launch.coefficients + FACTOR]
        n_tiles = (n_rows + rows_of_tile - 1) // rows_of_tile
        has_loss = not elements
        if elements:
            # Then there are hidden rows, too, whose phases have none.
            for job in range(first_job, last_job):
                has_loss = has_loss or jobs[job, JOB_KIND] == LOSS
        for tile in range(rank, n_tiles, size):
            row = tile * rows_of_tile + tid
            total = zero
            if tid < rows_of_tile and row < n_rows:
                for job in range(first_job, last_job):
                    total += one_row(memory, jobs, job, row, factor)
            total = block_sum(pool, tid, total)
            if tid == 0 and has_loss:
                memory[launch.partials + n_pass * launch.loss_tiles + tile] = total

    return Work(
        gather,
        tiles,
        rows,
        make_limit_norms(real, tiling, selection),
        make_elements(real, tiling, selection),
        make_features(real, tiling, selection),
    )
