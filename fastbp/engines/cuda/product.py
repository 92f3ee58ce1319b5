"""A tile of a product of matrices, by a block of threads.

The classical scheme (Volkov and Demmel 2008): slices of both operands pass through shared memory, each thread
keeps a small square of the product in registers. The next slice is on its way from memory while the present
one is multiplied. An element is one thread's chain of fused multiply-adds in ascending k, so that its bits
depend neither on the shape of the tile nor on the number of blocks.
"""

from functools import cache
from typing import Any

import numpy as np

from fastbp.engines.cuda.target import cuda, inlined
from fastbp.engines.cuda.tiling import Tiling


@cache
def make_product(real: type, tiling: Tiling, shape: int) -> Any:
    """The device function for one shape of tiles.

    ``product(memory, pool, tid, a, a_row, a_col, one_m, one_k, b, b_row, b_col, m0, n0, M, N, K)`` computes
    C[m, n] = Σ_k A[m, k] · B[k, n] for the tile at (m0, n0) and leaves it row by row in `pool`, where
    A[m, k] = memory[a + m · a_row + k · a_col], or 1 in row `one_m` and in column `one_k`; B likewise.
    Beyond M, N, K operands count as zero. All threads call it; `pool` is free for the next tile only after
    a barrier.
    """
    threads, side, micro = tiling.threads, tiling.side, tiling.micro[shape]
    depth, width, pitch = tiling.depth[shape], tiling.width(shape), tiling.pitch(shape)
    loads = width * depth // threads  # elements of each operand that a thread fetches for a slice
    n_accumulators = micro * micro
    right = depth * pitch  # where the slice of B begins
    zero, one, none = real(0.0), real(1.0), np.int32(-1)
    mask = threads - 1
    # Two ways to deal the elements of a slice to the threads, along k or across: neighbouring threads shall
    # read neighbouring elements of memory.
    along_step, across_step = max(threads // depth, 1), max(threads // width, 1)
    along_k = depth if depth < threads else threads
    across = width if width < threads else threads

    @inlined
    def fetch(memory, values, at, x, k, x_step, k_step, x_stride, k_stride, x_end, k_end, one_x, one_k):
        x, k = np.int32(x), np.int32(k)
        offset = at + x * x_stride + k * k_stride
        step = x_step * x_stride + k_step * k_stride
        for i in range(loads):
            value = zero
            if x < x_end and k < k_end:
                # Unsigned: no check for a negative index.
                value = one if x == one_x or k == one_k else memory[np.uint64(offset)]
            values[i] = value
            x = np.int32(x + x_step)
            k = np.int32(k + k_step)
            offset += step

    multiply = _multiply(depth, pitch, right, micro)

    @inlined
    def product(
        memory, pool, tid, a, a_row, a_col, one_m, one_k, b, b_row, b_col, m0, n0, m_end, n_end, k_total
    ):
        tid = np.int32(tid & mask)  # never negative: spares the check of negative indices
        # Registers are scarce here, and 32 bits take one.
        one_m, one_k, m_end, n_end = np.int32(one_m), np.int32(one_k), np.int32(m_end), np.int32(n_end)
        k_total, a_row, a_col = np.int32(k_total), np.int32(a_row), np.int32(a_col)
        m0, n0, b_row, b_col = np.int32(m0), np.int32(n0), np.int32(b_row), np.int32(b_col)
        left_m, left_k, left_m_step, left_k_step = tid % across, tid // across, 0, across_step
        if a_col == 1:
            left_m, left_k, left_m_step, left_k_step = tid // along_k, tid % along_k, along_step, 0
        right_n, right_k, right_n_step, right_k_step = tid % across, tid // across, 0, across_step
        if b_row == 1 and b_col != 1:
            right_n, right_k, right_n_step, right_k_step = tid // along_k, tid % along_k, along_step, 0
        row, column = tid // side * micro, tid % side * micro

        accumulators = cuda.local.array(n_accumulators, real)
        next_left = cuda.local.array(loads, real)
        next_right = cuda.local.array(loads, real)
        left_values = cuda.local.array(micro, real)
        right_values = cuda.local.array(micro, real)
        for i in range(n_accumulators):
            accumulators[i] = zero

        fetch(
            memory, next_left, a, m0 + left_m, left_k, left_m_step, left_k_step,
            a_row, a_col, m_end, k_total, one_m, one_k,
        )  # fmt: skip
        fetch(
            memory, next_right, b, n0 + right_n, right_k, right_n_step, right_k_step,
            b_col, b_row, n_end, k_total, none, none,
        )  # fmt: skip
        k0 = np.int32(0)
        while k0 < k_total:
            cuda.syncthreads()
            for i in range(loads):
                pool[(left_k + i * left_k_step) * pitch + left_m + i * left_m_step] = next_left[i]
                pool[right + (right_k + i * right_k_step) * pitch + right_n + i * right_n_step] = next_right[
                    i
                ]
            cuda.syncthreads()
            following = np.int32(k0 + depth)
            if following < k_total:
                fetch(
                    memory, next_left, a, m0 + left_m, following + left_k, left_m_step, left_k_step,
                    a_row, a_col, m_end, k_total, one_m, one_k,
                )  # fmt: skip
                fetch(
                    memory, next_right, b, n0 + right_n, following + right_k, right_n_step, right_k_step,
                    b_col, b_row, n_end, k_total, none, none,
                )  # fmt: skip
            multiply(pool, row, column, left_values, right_values, accumulators)
            k0 = following
        cuda.syncthreads()
        for i in range(micro):
            for j in range(micro):
                pool[(row + i) * width + column + j] = accumulators[i * micro + j]
        cuda.syncthreads()

    return product


def _multiply(depth: int, pitch: int, right: int, micro: int) -> Any:
    """A thread's part of a slice: all steps of k, one after another.

    Written out, so that every address is a constant away from one that is known to be aligned: then elements
    come from shared memory four at a time, which limits the speed.
    """

    @inlined
    def nothing(pool, row, column, left_values, right_values, accumulators):
        pass

    steps = nothing
    for k in range(depth - 1, -1, -1):
        steps = _step(k * pitch, right + k * pitch, micro, steps)
    return steps


def _step(left_at: int, right_at: int, micro: int, following: Any) -> Any:
    @inlined
    def step(pool, row, column, left_values, right_values, accumulators):
        for i in range(micro):
            left_values[i] = pool[left_at + row + i]
        for j in range(micro):
            right_values[j] = pool[right_at + column + j]
        for i in range(micro):
            for j in range(micro):
                accumulators[i * micro + j] = cuda.fma(
                    left_values[i], right_values[j], accumulators[i * micro + j]
                )
        following(pool, row, column, left_values, right_values, accumulators)

    return step
