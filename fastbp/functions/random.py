"""Counter-based random numbers: a draw is a function of (seed, stream, index) only.

Results therefore do not depend on the number of threads, and a GPU draws the same numbers. The generator is
SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"), its finaliser applied
to a counter.
"""

import numpy as np

MASK = 0xFFFFFFFFFFFFFFFF
GOLDEN = 0x9E3779B97F4A7C15

SHUFFLE, NOISE = 1, 2  # streams


def mix64(z):
    """The finaliser of SplitMix64, a bijection on 64-bit integers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def stream_key(seed, stream, epoch):
    """Return the 64-bit key of a stream of draws."""
    return mix64((mix64((seed + stream * GOLDEN) & MASK) + epoch * GOLDEN) & MASK)


def bounded(key, index, bound):
    """Draw `index` of a stream, an integer in [0, bound) for bound ≤ 2³² (Lemire 2019; bias < 2⁻³²)."""
    return ((mix64((key + index * GOLDEN) & MASK) >> 32) * bound) >> 32


def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order of `n` rows in epoch `epoch`: Fisher-Yates shuffle, from the end.

    Slow reference for tests; ``fastbp.engines.cpu`` compiles the same steps.
    """
    key = stream_key(seed, SHUFFLE, epoch)
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = bounded(key, i, i + 1)
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.intp)


MASK_32, GOLDEN_32, FIRST_32, SECOND_32 = 0xFFFFFFFF, 0x9E3779B9, 0x21F0AAAD, 0x735A2D97


def uniform(key, counter):
    """Number `counter` (modulo 2³²) of the stream `key`, in (0, 1): an odd multiple of 2⁻²⁴.

    A 32-bit hash, for which vector registers have instructions: two rounds of multiplication and shift with
    the constants of Ettinger's "hash-prospector", with both halves of the key mixed in.
    """
    h = (counter * GOLDEN_32 + key) & MASK_32
    h ^= h >> 16
    h = (h * FIRST_32) & MASK_32
    h = (h ^ (h >> 15)) ^ (key >> 32 & MASK_32)
    h = (h * SECOND_32) & MASK_32
    h ^= h >> 15
    return ((h >> 9) + 0.5) * 2.0**-23


def noise_key(seed, step, op):
    """Return the key of the draws of op number `op` in a step; odd, since 0 means no noise."""
    return mix64(((stream_key(seed, NOISE, step) | 1) + op * GOLDEN) & MASK) | 1
