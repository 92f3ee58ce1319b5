"""Sums over the threads of a block, always in the same order."""

from functools import cache
from typing import Any

from fastbp.engines.cuda.target import cuda, inlined


@cache
def make_block_sum(threads: int) -> Any:
    """A device function ``(pool, tid, value) -> sum`` for all threads of a block; `pool` is scratch.

    It begins and ends with a barrier.
    """

    @inlined
    def block_sum(pool, tid, value):
        cuda.syncthreads()
        pool[tid] = value
        stride = threads // 2
        while stride > 0:
            cuda.syncthreads()
            if tid < stride:
                pool[tid] += pool[tid + stride]
            stride //= 2
        cuda.syncthreads()
        return pool[0]

    return block_sum
