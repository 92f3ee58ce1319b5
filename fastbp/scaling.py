"""Scales of inputs and targets, from the data."""

import numpy as np
import scipy.sparse


def robust_scales(X: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """What the function "robust" needs of each feature: its median, and 1 over its interquartile range.

    Where the quartiles are equal, the range counts by half (Holzmüller, Grinsztajn, Steinwart 2024, section
    3); where there is none, the factor is 0. A row of weight 2 counts as two rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (2, n_features)
        float64.

    Raises
    ------
    ValueError
        For sparse X.
    """
    if scipy.sparse.issparse(X):
        raise ValueError(
            "input_scaling='robust' makes zeros other numbers: it needs a dense X, got a sparse one."
        )
    low, quarter, median, three_quarters, high = quantiles(X, sample_weight, [0.0, 0.25, 0.5, 0.75, 1.0])
    width = three_quarters - quarter
    width = np.where(width > 0, width, (high - low) / 2)
    return np.array([median, 1 / np.where(width > 0, width, np.inf)])


def quantiles(X: np.ndarray, sample_weight: np.ndarray | None, shares: list[float]) -> np.ndarray:
    """Values of each column below or at which lies a share of the rows' weight, float64.

    The inverse of the distribution function, definition 1 of Hyndman and Fan 1996: values that occur.
    """
    if sample_weight is None:
        return np.quantile(X, shares, axis=0, method="inverted_cdf").astype(np.float64)
    X, weight = X[sample_weight > 0], sample_weight[sample_weight > 0].astype(np.float64)
    order = np.argsort(X, axis=0)
    below = np.cumsum(weight[order], axis=0)
    columns = np.arange(X.shape[1])
    return np.array(
        [X[order[(below < share * below[-1]).sum(axis=0), columns], columns] for share in shares], np.float64
    )


def standard_scales(y: np.ndarray, sample_weight: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """(mean, standard deviation or 1, [lowest, highest]) of each target, weighted, in float64.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_targets)
    """
    weight = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
    y = y.astype(np.float64)
    mean = np.average(y, axis=0, weights=weight)
    scale = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
    counted = y[weight > 0]
    return mean, np.where(scale > 0, scale, 1.0), np.array([counted.min(axis=0), counted.max(axis=0)])
