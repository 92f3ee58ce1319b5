"""Uniform random numbers for a CUDA thread: ``fastbp.functions.random``, number by number.

So both engines draw the same noise, whoever computes which row.
"""

from functools import cache
from typing import Any

import numpy as np

from fastbp.engines import shuffle
from fastbp.engines.cuda.target import device
from fastbp.functions import random

GOLDEN, NOISE, ODD = np.uint64(random.GOLDEN), np.uint64(random.NOISE), np.uint64(1)
MASK_32, GOLDEN_32 = np.uint64(random.MASK_32), np.uint64(random.GOLDEN_32)
FIRST_32, SECOND_32 = np.uint64(random.FIRST_32), np.uint64(random.SECOND_32)
U9, U15, U16, U32 = np.uint64(9), np.uint64(15), np.uint64(16), np.uint64(32)

mix64 = device(shuffle.mix64.py_func)


@device
def step_key(seed, step):
    """The key of a step's noise: ``fastbp.functions.random.noise_key`` before its last mix."""
    return mix64(mix64(np.uint64(seed) + NOISE * GOLDEN) + np.uint64(step) * GOLDEN) | ODD


@device
def op_key(key, op):
    """Key of the random numbers of one op in a step."""
    return mix64(key + np.uint64(op) * GOLDEN) | ODD


@cache
def make_uniform(real: type) -> Any:
    """The device function ``(key, counter) -> u``, ``fastbp.functions.random.uniform`` in one dtype.

    Only 32 bits of each number are ever kept, and the compiler multiplies no more than these.
    """
    half, unit = real(0.5), real(2.0**-23)

    @device
    def uniform(key, counter):
        h = (((np.uint64(counter) & MASK_32) * GOLDEN_32 & MASK_32) + (key & MASK_32)) & MASK_32
        h ^= h >> U16
        h = (h * FIRST_32) & MASK_32
        h = (h ^ (h >> U15)) ^ (key >> U32)
        h = (h * SECOND_32) & MASK_32
        h ^= h >> U15
        return (real(np.int32(h >> U9)) + half) * unit

    return uniform
