"""The rate of the register tile alone, its panels in the nearest caches."""

import statistics
import time

import numpy as np
import peers  # noqa: F401  (finds the fastbp of this checkout)

from fastbp.compiler import jit
from fastbp.cpu.arena import lanes_of
from fastbp.cpu.memory import pointer
from fastbp.cpu.tile import TILE_ROWS, product
from fastbp.plan import aligned_zeros

STEPS = 320  # of k: with AVX-512 the panels of both sides take 54 KB
REGISTERS = 2  # a tile is so many wide
CALLS, SAMPLES = 5_000, 7


@jit
def repeat_tile(times, c, a, b, width, steps):
    for _ in range(times):
        product(
            pointer(c, 0),
            width,
            pointer(a, 0),
            1,
            TILE_ROWS,
            steps,
            steps,
            0,
            pointer(b, 0),
            width,
            0,
            TILE_ROWS,
            REGISTERS,
        )


def tile_rate(dtype: str) -> float:
    """Return the operations a second of a full tile on one thread, the median of a few samples."""
    width = REGISTERS * lanes_of(np.dtype(dtype))
    rng = np.random.default_rng(0)
    c, a, b = (
        aligned_zeros(rows * columns, np.dtype(dtype))
        for rows, columns in ((TILE_ROWS, width), (STEPS, TILE_ROWS), (STEPS, width))
    )
    a[:], b[:] = rng.random(a.size), rng.random(b.size)
    repeat_tile(1, c, a, b, width, STEPS)
    times = []
    for _ in range(SAMPLES):
        start = time.perf_counter()
        repeat_tile(CALLS, c, a, b, width, STEPS)
        times.append(time.perf_counter() - start)
    return 2 * STEPS * width * TILE_ROWS * CALLS / statistics.median(times)
