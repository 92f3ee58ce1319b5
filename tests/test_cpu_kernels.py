"""The kernels' building blocks against NumPy: register tile, transposition, gather, barrier."""

import threading

import numba
import numpy as np
import pytest

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import lanes_of
from fastbp.engines.cpu.barrier import SYNC_SIZE, barrier
from fastbp.engines.cpu.float_mode import flush_subnormals, restore_mode
from fastbp.engines.cpu.simd import ARM, X86
from fastbp.engines.cpu.tile import TILE_ROWS, LeftOperand, Rows, product
from fastbp.engines.cpu.transpose import gather_block, scatter_block, transpose_block
from fastbp.engines.cpu.vector_memory import advance, load, pointer, store, sum_lanes

DTYPES = [np.float32, np.float64]
RTOL = {np.float32: 1e-5, np.float64: 1e-13}


@numba.njit(error_model="numpy")
def call_product(
    c, ldc, a, row_stride, col_stride, k_total, k_block, jump, b, ldb, n_rows, n_registers, add=0
):
    left = LeftOperand(pointer(a, 0), row_stride, col_stride, k_total, k_block, jump)
    product(Rows(pointer(c, 0), ldc), left, Rows(pointer(b, 0), ldb), add, n_rows, n_registers)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_registers", [1, 2])
def test_tile_is_the_matrix_product_at_every_height(dtype, n_registers):
    rng = np.random.RandomState(0)
    width = n_registers * lanes_of(dtype)
    k = 7
    for n_rows in range(1, TILE_ROWS + 1):
        a, b = rng.normal(size=(n_rows, k)).astype(dtype), rng.normal(size=(k, width)).astype(dtype)
        out = np.full((n_rows + 1, width), -1, dtype)
        for operand, row_stride, col_stride in ((a, k, 1), (np.asfortranarray(a).T, 1, n_rows)):
            call_product(
                out.ravel(),
                width,
                np.ascontiguousarray(operand).ravel(),
                row_stride,
                col_stride,
                k,
                k,
                0,
                b.ravel(),
                width,
                n_rows,
                n_registers,
            )
            np.testing.assert_allclose(out[:n_rows], a @ b, rtol=RTOL[dtype], atol=1e-6)
            assert (out[n_rows] == -1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_element_has_the_same_bits_in_every_tile(dtype):
    rng = np.random.RandomState(0)
    lanes, k = lanes_of(dtype), 50
    a, b = rng.normal(size=(TILE_ROWS, k)).astype(dtype), rng.normal(size=(k, 2 * lanes)).astype(dtype)
    whole = np.empty((TILE_ROWS, 2 * lanes), dtype)
    call_product(whole.ravel(), 2 * lanes, a.ravel(), k, 1, k, k, 0, b.ravel(), 2 * lanes, TILE_ROWS, 2)
    for i in range(TILE_ROWS):
        row = np.empty(lanes, dtype)
        call_product(row, lanes, a[i].copy(), k, 1, k, k, 0, b.ravel(), 2 * lanes, 1, 1)
        np.testing.assert_array_equal(row, whole[i, :lanes])


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_interrupted_product_has_the_same_bits(dtype):
    rng = np.random.RandomState(0)
    lanes, k = lanes_of(dtype), 50
    a, b = rng.normal(size=(TILE_ROWS, k)).astype(dtype), rng.normal(size=(k, lanes)).astype(dtype)
    whole, parts = np.empty((TILE_ROWS, lanes), dtype), np.full((TILE_ROWS, lanes), np.nan, dtype)
    call_product(whole.ravel(), lanes, a.ravel(), k, 1, k, k, 0, b.ravel(), lanes, TILE_ROWS, 1)
    for start, stop, add in ((0, 20, 0), (20, 21, 1), (21, k, 1)):
        left = np.ascontiguousarray(a[:, start:stop]).ravel()
        n = stop - start
        call_product(
            parts.ravel(), lanes, left, n, 1, n, n, 0, b[start:stop].ravel(), lanes, TILE_ROWS, 1, add
        )
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tile_follows_panels(dtype):
    # Two panels of 4 steps each, 10 elements apart, with 2 steps of a third.
    rng = np.random.RandomState(0)
    lanes, n_rows, k = lanes_of(dtype), 2, 10
    flat = rng.normal(size=30).astype(dtype)
    steps = [panel * 10 + i for panel in range(3) for i in range(4)][:k]
    a = np.array([[flat[s + 4 * row] for s in steps] for row in range(n_rows)])
    b = rng.normal(size=(k, lanes)).astype(dtype)
    out = np.empty((n_rows, lanes), dtype)
    call_product(out.ravel(), lanes, flat, 4, 1, k, 4, 10 - 3, b.ravel(), lanes, n_rows, 1)
    np.testing.assert_allclose(out, a @ b, rtol=RTOL[dtype], atol=1e-6)


@numba.njit
def shuffle_blocks(x, n, starts, panel, back, transposed, lanes):
    for c in range(0, n, lanes):
        gather_block(
            pointer(x, 0), pointer(starts, 0), c, min(lanes, n - c), pointer(panel, c * lanes), lanes
        )
        scatter_block(pointer(panel, c * lanes), lanes, pointer(back, c), n, 3, min(lanes, n - c))
    transpose_block(pointer(panel, 0), lanes, advance(pointer(transposed, 0), 0), lanes)
    return sum_lanes(load(pointer(panel, 0), 0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_gather_transpose_scatter(dtype):
    lanes, n = lanes_of(dtype), lanes_of(dtype) + 5
    x = np.random.RandomState(0).normal(size=(lanes, n)).astype(dtype)
    starts = np.arange(lanes)[::-1].copy() * n
    blocks = -(-n // lanes) * lanes
    panel = np.full((blocks + lanes, lanes), -1, dtype)
    back, transposed = np.zeros((lanes, n), dtype), np.empty((lanes, lanes), dtype)
    total = shuffle_blocks(x.ravel(), n, starts, panel.ravel(), back.ravel(), transposed.ravel(), lanes)
    np.testing.assert_array_equal(panel[:n], x[::-1].T)
    assert (panel[n:blocks] == 0).all() and (panel[blocks:] == -1).all()
    np.testing.assert_array_equal(back[:3], x[::-1][:3])
    assert not back[3:].any()
    np.testing.assert_array_equal(transposed, panel[:lanes].T)
    assert total == pytest.approx(panel[0].sum(dtype=np.float64), rel=1e-5)


@numba.njit
def halve(x, n, flush):
    mode = flush_subnormals() if flush else 0
    for _ in range(n):
        store(pointer(x, 0), 0, load(pointer(x, 0), 0) * 0.5)
    if flush:
        restore_mode(mode)


@pytest.mark.skipif(not (X86 or ARM), reason="the mode cannot be set on this processor")
@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_numbers_are_zero_in_kernels_and_nowhere_else(dtype):
    tiny = np.finfo(dtype).tiny
    for flush, expected in ((True, 0.0), (False, tiny / 4)):
        x = np.full(lanes_of(dtype), tiny, dtype)
        halve(x, 2, flush)
        np.testing.assert_array_equal(x, dtype(expected))
    assert dtype(tiny) * dtype(0.5) > 0  # the caller's mode is as it was


@jit
def count_in_turns(thread, n_threads, rounds, counts, sync):
    """Each round every thread checks that all others came through the round before."""
    wrong = 0
    for r in range(rounds):
        counts[thread, 0] = r
        barrier(sync, n_threads)
        for t in range(n_threads):
            if counts[t, 0] != r:
                wrong += 1
        barrier(sync, n_threads)
    return wrong


@pytest.mark.parametrize("n_threads", [1, 2, 3, 5])
def test_barrier_keeps_threads_in_step_also_with_more_threads_than_cores(n_threads):
    sync, counts = np.zeros(SYNC_SIZE, np.int64), np.full((n_threads, 16), -1)
    count_in_turns(0, 1, 1, counts, sync)
    results = []
    team = [
        threading.Thread(target=lambda t=t: results.append(count_in_turns(t, n_threads, 300, counts, sync)))
        for t in range(n_threads)
    ]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert results == [0] * n_threads
