"""The order of an epoch: the same steps as ``fastbp.functions.random``, on 64-bit registers."""

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.functions import random

GOLDEN = np.uint64(random.GOLDEN)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
U27, U30, U31, U32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
SHUFFLE = np.uint64(random.SHUFFLE)


@jit
def mix64(z):
    z = (z ^ (z >> U30)) * FIRST
    z = (z ^ (z >> U27)) * SECOND
    return z ^ (z >> U31)


@jit
def shuffle_order(order, index, seed, epoch):
    """Fill `order` with the permutation of an epoch: of the numbers in `index`, of all where it is empty."""
    key = mix64(mix64(np.uint64(seed) + SHUFFLE * GOLDEN) + np.uint64(epoch) * GOLDEN)
    for i in range(order.shape[0]):
        order[i] = index[i] if index.shape[0] > 0 else i
    for i in range(order.shape[0] - 1, 0, -1):
        draw = mix64(key + np.uint64(i) * GOLDEN) >> U32
        j = np.int64((draw * np.uint64(i + 1)) >> U32)
        order[i], order[j] = order[j], order[i]
