"""The rate of the register tile alone, its panels in the nearest caches, beside NumPy's product."""

import time

import numpy as np
import peers  # noqa: F401  (finds the fastbp of this checkout)
from gemm import Squares
from threadpoolctl import threadpool_limits

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import lanes_of
from fastbp.engines.cpu.layout import aligned_zeros
from fastbp.engines.cpu.tile import TILE_ROWS, LeftOperand, Rows, product
from fastbp.engines.cpu.vector_memory import pointer

STEPS = 320  # of k: with AVX-512 the panels of both sides take 54 KB
REGISTERS = 2  # a tile is so many wide
CALLS, SQUARE, TURNS = 5_000, 1024, 60


@jit
def repeat_tile(times, c, a, b, width, steps):
    for _ in range(times):
        left = LeftOperand(pointer(a, 0), 1, TILE_ROWS, steps, steps, 0)
        product(Rows(pointer(c, 0), width), left, Rows(pointer(b, 0), width), 0, TILE_ROWS, REGISTERS)


def tile_and_product(dtype: str) -> tuple[float, float, float]:
    """Return the operations a second of a full tile and of NumPy's product, and their ratio; on one thread.

    Both take turns of milliseconds, so that the ratio stands although the processor's clock drifts: medians.
    """
    width = REGISTERS * lanes_of(np.dtype(dtype))
    rng = np.random.default_rng(0)
    c, a, b = (
        aligned_zeros(rows * columns, np.dtype(dtype))
        for rows, columns in ((TILE_ROWS, width), (STEPS, TILE_ROWS), (STEPS, width))
    )
    a[:], b[:] = rng.random(a.size), rng.random(b.size)
    squares = Squares(dtype, SQUARE)
    rates = np.empty((TURNS, 2))
    with threadpool_limits(1):
        repeat_tile(1, c, a, b, width, STEPS)
        squares.multiply()
        for turn in rates:
            start = time.perf_counter()
            repeat_tile(CALLS, c, a, b, width, STEPS)
            between = time.perf_counter()
            squares.multiply()
            end = time.perf_counter()
            turn[0] = 2 * STEPS * width * TILE_ROWS * CALLS / (between - start)
            turn[1] = 2 * SQUARE**3 / (end - between)
    return *np.median(rates, axis=0), np.median(rates[:, 0] / rates[:, 1])
