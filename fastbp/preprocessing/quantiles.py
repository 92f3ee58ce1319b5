"""Quantiles of weighted values."""

from collections.abc import Sequence

import numpy as np


def weighted_quantiles(
    values: np.ndarray, weight: np.ndarray | None, levels: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Return the smallest values that hold at least those shares of the weight: the inverse of the
    distribution function, so that a value of weight 2 counts as two values.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite; not empty.
    weight : ndarray of shape (n,) or None
        Positive.
    levels : sequence of float
        In [0, 1].
    """
    if weight is None:
        return np.quantile(values, levels, method="inverted_cdf")
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weight[order])
    # as NumPy: the share of a value that is reached up to rounding is reached
    share = np.asarray(levels) * cumulated[-1]
    found = np.searchsorted(cumulated * (1 + 1e-12), share)
    return values[order][np.minimum(found, len(values) - 1)]
