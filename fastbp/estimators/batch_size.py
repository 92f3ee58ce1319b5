"""The rows of a mini-batch: `batch_size`, and what batch normalisation asks of it.

A batch of one row has variance 0: what comes out of the norm is the same whatever the row, and nothing is
learned from it. Of two or four rows the statistics are mostly noise. Where a few rows are left for the last
batch of each epoch, they spoil what the others have learned. 130 of the digits in batches of 64, two hidden
layers of 32 units, SGD, mean of 12 seeds: .71 of the other digits are right, and .90 with batches of 52.
"""

from collections.abc import Iterable

import numpy as np

FEWEST = 2
ADVICE = "choose a batch_size of 32 or more, norm='layer' or norm=None"


def check_for_norm(batch_size: int, n_rows: int, sample_weight: np.ndarray | None) -> None:
    """ValueError where batches have too few rows for ``norm="batch"``."""
    what = "norm='batch' takes mean and variance of each mini-batch, but"
    if n_rows < FEWEST:
        raise ValueError(
            f"{what} n_samples = {n_rows}, so that no batch has two rows: give more rows, or {ADVICE}."
        )
    if batch_size < FEWEST:
        raise ValueError(f"{what} batch_size={batch_size} makes batches of one row: {ADVICE}.")
    if sample_weight is not None:
        counted = int(np.count_nonzero(sample_weight))
        if counted < FEWEST or counted * batch_size < FEWEST * n_rows:
            raise ValueError(
                f"{what} sample_weight is positive for {counted} of {n_rows} rows, of which batches of "
                f"{batch_size} have fewer than two: leave rows without weight out, or {ADVICE}."
            )


def size_for_norm(batch_size: int, n_rows: int) -> int:
    """The size nearest to `batch_size` of which the last batch of an epoch has half the rows or more."""
    smaller = range(batch_size, max(batch_size // 2, FEWEST - 1), -1)
    return _first_even(smaller, n_rows) or _first_even(range(batch_size + 1, n_rows), n_rows) or n_rows


def _first_even(sizes: Iterable[int], n_rows: int) -> int | None:
    for size in sizes:
        rest = n_rows % size
        if rest == 0 or rest >= max(size / 2, FEWEST):
            return size
    return None
