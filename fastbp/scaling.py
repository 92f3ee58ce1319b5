"""Scales of inputs and targets, from the data."""

import numpy as np

BLOCK_BYTES = 1 << 22  # of the columns that are copied at a time: at least one
ROWS_AT_A_TIME = 1 << 16


def robust_scales(X: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """What the function "robust" needs of each feature: its median, and 1 over its interquartile range.

    Where the quartiles are equal, the range counts by half (Holzmüller, Grinsztajn, Steinwart 2024, section
    3); where there is none, or one so small that its inverse is not finite, the factor is 0. A row of weight
    2 counts as two rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (2, n_features)
        In the dtype of X.
    """
    low, quarter, median, three_quarters, high = quantiles(X, sample_weight, [0.0, 0.25, 0.5, 0.75, 1.0])
    with np.errstate(over="ignore", divide="ignore"):
        width = np.where(three_quarters > quarter, three_quarters - quarter, (high - low) / 2)
        factor = (1 / width).astype(X.dtype)
    return np.array([median.astype(X.dtype), np.where(np.isfinite(factor), factor, 0)])


def quantiles(X: np.ndarray, sample_weight: np.ndarray | None, shares: list[float]) -> np.ndarray:
    """Values of each column below or at which lies a share of the rows' weight, float64.

    The inverse of the distribution function, definition 1 of Hyndman and Fan 1996: values that occur. A
    few columns are copied at a time.
    """
    if sample_weight is not None:
        counted = sample_weight > 0
        weight = sample_weight[counted]
        return np.array([_weighted(column[counted], weight, shares) for column in X.T], np.float64).T
    n_columns = max(1, BLOCK_BYTES // (len(X) * X.itemsize))
    blocks = [X[:, i : i + n_columns] for i in range(0, X.shape[1], n_columns)]
    found = [np.quantile(block, shares, axis=0, method="inverted_cdf") for block in blocks]
    return np.concatenate(found, axis=1).astype(np.float64)


def _weighted(values: np.ndarray, weight: np.ndarray, shares: list[float]) -> np.ndarray:
    """Quantiles of one column, whose rows all have a weight; sums of weights are kept for a block only."""
    order = np.argsort(values)
    blocks = [order[i : i + ROWS_AT_A_TIME] for i in range(0, len(order), ROWS_AT_A_TIME)]

    def sums(number: int) -> np.ndarray:
        """Of the weights up to each row of a block."""
        before = ends[number - 1] if number else 0.0
        return np.cumsum(np.concatenate([[before], weight[blocks[number]]], dtype=np.float64))[1:]

    ends: list[float] = []
    for number in range(len(blocks)):
        ends.append(float(sums(number)[-1]))
    found = []
    for share in shares:
        number = int(np.searchsorted(ends, share * ends[-1]))
        row = np.searchsorted(sums(number), share * ends[-1])
        found.append(values[blocks[number][row]])
    return np.array(found)


def standard_scales(y: np.ndarray, sample_weight: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """(mean, standard deviation, [lowest, highest]) of each target, weighted, in float64.

    The deviation of a target that does not vary is 1.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_targets)

    Raises
    ------
    ValueError
        Where the targets are so large that the deviation is not finite.
    """
    weight = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
    y = y.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(y, axis=0, weights=weight)
        scale = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
    if not np.isfinite([mean, scale]).all():
        raise ValueError("target_scaling='standard': y contains values too large for a standard deviation.")
    counted = y[weight > 0]
    span = np.array([counted.min(axis=0), counted.max(axis=0)])
    return np.where(span[0] < span[1], mean, span[0]), np.where(span[0] < span[1], scale, 1.0), span
