"""Scales of inputs and targets, from the data."""

import numpy as np
import scipy.sparse


def robust_scales(X: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """What the function "robust" needs of each feature: its median, and 1 over its interquartile range.

    Where the quartiles are equal, the range counts by half (Holzmüller, Grinsztajn, Steinwart 2024, section
    3); where there is none, the factor is 0. Rows without weight are left out.

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
        raise ValueError("input_scaling='robust' moves zeros elsewhere, so it needs a dense X.")
    if sample_weight is not None:
        X = X[sample_weight > 0]
    low, quarter, median, three_quarters, high = np.percentile(X, [0, 25, 50, 75, 100], axis=0).astype(float)
    width = three_quarters - quarter
    width = np.where(width > 0, width, (high - low) / 2)
    return np.array([median, 1 / np.where(width > 0, width, np.inf)])


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
