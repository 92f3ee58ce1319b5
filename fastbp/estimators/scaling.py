"""Scales of inputs and targets, from the data.

They are those of the first rows that a model is trained on, for the weights are learned behind them. But a
column of which all values have been equal so far has no scale yet: it gets one when it first varies.
"""

from typing import Any

import numpy as np

from fastbp.training.call_stack import warn

BLOCK_BYTES = 1 << 20  # of the columns that are copied at a time: at least one
ROWS_AT_A_TIME = 1 << 16
SMALLEST_SQUARED, LARGEST_SQUARED = 1e-15, 1e15  # whose squares and their sums are float32's, too
FEWEST_ROWS = 10  # whose quartiles and deviations are worth something


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
    width = np.where(three_quarters > quarter, three_quarters - quarter, (high - low) / 2)
    factor = (1 / width).astype(X.dtype)
    return np.array([median.astype(X.dtype), np.where(np.isfinite(factor), factor, 0)])


def completed_robust_scales(
    scales: np.ndarray, X: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """The scales of earlier rows, and those of columns that had been constant and vary with the rows of X.

    Their earlier value counts as one row. The weights behind them have seen zeros only.

    Parameters
    ----------
    scales : ndarray of shape (2, n_features)
        What `robust_scales` gave; not changed.
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
    """Rows, and their weights, before which one more of their mean weight stands."""
    if sample_weight is not None:
        mean = sample_weight[sample_weight > 0].mean(dtype=np.float64)
        sample_weight = np.append(mean, sample_weight)
    return np.vstack([earlier, rows]), sample_weight


def check_first_block(vary: np.ndarray, n_rows: int, parameter: str, what: str) -> None:
    """ValueError where the first block of `partial_fit` has no scale at all, a warning where a poor one.

    Parameters
    ----------
    vary : ndarray of bool
        Whether the values of each column differ.
    n_rows : int
        That have a positive weight.
    parameter, what : str
        For the message: the estimator's parameter, and what varies or not.
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
    """The number of rows of positive weight."""
    return len(rows) if sample_weight is None else int(np.count_nonzero(sample_weight))


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

    The deviation of a target that does not vary is 1. Squares and sums are of numbers near 1, so that targets
    may be as small or as large as floats can be; powers of two change no digit.

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
    scale = np.where(scale > 0, scale, span[1] - span[0])  # of the smallest floats, half of one is none
    return np.where(span[0] < span[1], mean, span[0]), np.where(span[0] < span[1], scale, 1.0), span


def exponents(values: np.ndarray) -> np.ndarray:
    """k of each column such that its largest number is between 2^(k-1) and 2^k; 0 where all are 0."""
    return np.frexp(np.abs(values).max(axis=0))[1]


def near_one(y: Any, predicted: np.ndarray) -> tuple[Any, np.ndarray]:
    """Targets and predictions, both divided by the same power of two where their squares would overflow or
    vanish.
    """
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
    """What `standard_scales` gave for earlier rows, with the span of all, and with mean and deviation of the
    targets that had been constant and vary with the rows of y; their earlier value counts as one row.
    """
    mean, scale, span = scales
    both = np.vstack([span, standard_scales(y, sample_weight)[2]])
    whole = np.array([both.min(axis=0), both.max(axis=0)])
    vary = (span[0] == span[1]) & (whole[0] < whole[1])
    if vary.any():
        new_mean, new_scale, _ = standard_scales(*with_earlier(span[:1], y, sample_weight))
        mean, scale = np.where(vary, new_mean, mean), np.where(vary, new_scale, scale)
    return mean, scale, whole
