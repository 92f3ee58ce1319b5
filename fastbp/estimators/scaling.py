"""Scales of inputs and targets, from the data.

They come from the first rows that a model is trained on, since the weights are learned on scaled values. A
column that has been constant so far has no scale yet: it gets one when it first varies.
"""

from typing import Any

import numpy as np

from fastbp.training.call_stack import warn

BLOCK_BYTES = 1 << 20  # of the columns that are copied at a time: at least one
ROWS_AT_A_TIME = 1 << 16
SMALLEST_SQUARED, LARGEST_SQUARED = 1e-15, 1e15  # between them, squares and their sums fit in float32
FEWEST_ROWS = 10  # fewer give poor quartiles and deviations


def robust_scales(X: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Parameters of the function "robust" for each feature: median, and 1 over interquartile range.

    If the quartiles are equal, half the whole range is used (Holzmüller, Grinsztajn, Steinwart 2024, section
    3); if that is zero, or too small for a finite inverse, the factor is 0. A row of weight 2 counts as two
    rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (2, n_features)
        In the dtype of X.
    """
    low, quarter, median, three_quarters, high = quantiles(X, sample_weight, [0.0, 0.25, 0.5, 0.75, 1.0])
    width = np.where(three_quarters > quarter, three_quarters - quarter, (high - low) / 2)
    factor = (1 / width).astype(X.dtype)
    return np.array([median.astype(X.dtype), np.where(np.isfinite(factor), factor, 0)])


def completed_robust_scales(
    scales: np.ndarray, X: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Return the scales of earlier rows, with new ones for columns that were constant and vary in X.

    Their earlier value counts as one row. The weights of these columns have seen only zeros.

    Parameters
    ----------
    scales : ndarray of shape (2, n_features)
        Result of `robust_scales`; not changed.
    """
    still_equal = np.flatnonzero(scales[1] == 0)
    vary = [column for column in still_equal if (X[:, column] != scales[0, column]).any()]
    if not vary:
        return scales
    rows, weight = with_earlier(scales[:1, vary], X[:, vary], sample_weight)
    found = robust_scales(rows, weight)
    scales = scales.copy()
    scales[:, vary] = np.where(found[1] == 0, scales[:, vary], found)
    return scales


def with_earlier(
    earlier: np.ndarray, rows: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Prepend a row of earlier values, with the mean weight, to rows and their weights."""
    if sample_weight is not None:
        mean = sample_weight[sample_weight > 0].mean(dtype=np.float64)
        sample_weight = np.append(mean, sample_weight)
    return np.vstack([earlier, rows]), sample_weight


def check_first_block(vary: np.ndarray, n_rows: int, parameter: str, what: str) -> None:
    """Raise ValueError if the first block of `partial_fit` has no scale, warn if it has a poor one.

    Parameters
    ----------
    vary : ndarray of bool
        Whether the values of each column differ.
    n_rows : int
        Number of rows with positive weight.
    parameter, what : str
        For messages: the estimator's parameter, and the name of what should vary.
    """
    advice = (
        "The scales stay what that block makes them: let the first block have some hundred rows, or begin "
        "with fit"
    )
    if not vary.any():
        raise ValueError(
            f"{parameter} takes its scales from the first block of partial_fit, but in this one of {n_rows} "
            f"row{'s' * (n_rows != 1)} no {what} varies. {advice}."
        )
    if n_rows < FEWEST_ROWS:
        warn(
            f"{parameter} takes its scales from the first block of partial_fit, which has {n_rows} rows. "
            f"{advice}."
        )


def n_rows_that_count(rows: np.ndarray, sample_weight: np.ndarray | None) -> int:
    """Return the number of rows with positive weight."""
    return len(rows) if sample_weight is None else int(np.count_nonzero(sample_weight))


def quantiles(X: np.ndarray, sample_weight: np.ndarray | None, shares: list[float]) -> np.ndarray:
    """Quantiles of each column, weighted, float64.

    They are the inverse of the distribution function, definition 1 of Hyndman and Fan 1996: values that
    occur. A few columns are copied at a time.
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
    """Quantiles of one column with positive weights; cumulative weights are held for one block at a time."""
    order = np.argsort(values)
    blocks = [order[i : i + ROWS_AT_A_TIME] for i in range(0, len(order), ROWS_AT_A_TIME)]

    def sums(number: int) -> np.ndarray:
        """Cumulative weight up to each row of a block."""
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
    """Weighted mean, standard deviation and [lowest, highest] of each target, in float64.

    The deviation of a constant target is 1. Values are first scaled to near 1, so that targets may be as
    small or as large as floats can be; scaling by powers of two is exact.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_targets)
    """
    weight = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
    weight = np.ldexp(weight, -exponents(weight))
    y = y.astype(np.float64)
    size = exponents(y)
    near_one = np.ldexp(y, -size)
    middle = np.average(near_one, axis=0, weights=weight)
    deviation = near_one - middle
    spread = exponents(deviation)
    variance = np.average(np.ldexp(deviation, -spread) ** 2, axis=0, weights=weight)
    mean, scale = np.ldexp(middle, size), np.ldexp(np.sqrt(variance), size + spread)
    counted = y[weight > 0]
    span = np.array([counted.min(axis=0), counted.max(axis=0)])
    scale = np.where(scale > 0, scale, span[1] - span[0])  # half of the smallest float is zero
    return np.where(span[0] < span[1], mean, span[0]), np.where(span[0] < span[1], scale, 1.0), span


def exponents(values: np.ndarray) -> np.ndarray:
    """Return k for each column with its largest absolute value between 2^(k-1) and 2^k; 0 if all are 0."""
    return np.frexp(np.abs(values).max(axis=0))[1]


def near_one(y: Any, predicted: np.ndarray) -> tuple[Any, np.ndarray]:
    """Divide targets and predictions by one power of two if their squares would overflow or underflow."""
    array = np.asarray(y)
    if array.dtype.kind != "f" or not array.size:
        return y, predicted
    size = max(float(np.abs(array).max()), float(np.abs(predicted).max()))
    if not np.isfinite(size) or size == 0 or SMALLEST_SQUARED < size < LARGEST_SQUARED:
        return y, predicted
    power = -np.frexp(size)[1]
    return np.ldexp(array, power), np.ldexp(predicted, power)


def completed_standard_scales(
    scales: tuple[np.ndarray, ...], y: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """Update the result of `standard_scales` for earlier rows by the rows of y.

    The span covers all rows. Targets that were constant and vary in y get a mean and deviation; their earlier
    value counts as one row.
    """
    mean, scale, span = scales
    both = np.vstack([span, standard_scales(y, sample_weight)[2]])
    whole = np.array([both.min(axis=0), both.max(axis=0)])
    vary = (span[0] == span[1]) & (whole[0] < whole[1])
    if vary.any():
        new_mean, new_scale, _ = standard_scales(*with_earlier(span[:1], y, sample_weight))
        mean, scale = np.where(vary, new_mean, mean), np.where(vary, new_scale, scale)
    return mean, scale, whole
