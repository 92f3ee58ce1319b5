"""How sure a table model is, corrected by rows that its members were not trained on."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtri

SMALLEST = np.finfo(np.float32).tiny
LIMITS = 0.25, 4.0  # of a temperature's inverse
ROWS_FOR_ONE = 4.0  # rows that count for an inverse temperature of 1: few rows could say anything
MOST_SCORES = 1000  # that are kept


def fit_sharpness(probabilities: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the exponent of probabilities, 1 / T, with the lowest log loss of held-out rows.

    Probabilities p become p^(1/T), divided by their sum (temperature scaling; Guo, Pleiss, Sun, Weinberger:
    On calibration of modern neural networks. ICML 2017). Networks that are trained on smoothed labels are
    less sure than they should be.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_classes)
    targets : ndarray of int of shape (n_samples,)
        Columns of the true classes.
    weight : ndarray of shape (n_samples,) or None
    """
    logs = np.log(np.maximum(probabilities, SMALLEST, dtype=np.float64))
    rows = np.arange(len(targets))
    weight = np.ones(len(targets)) if weight is None else weight * (len(targets) / weight.sum())

    def loss(log_sharpness: float) -> float:
        scaled = logs * np.exp(log_sharpness)
        log_sums = np.logaddexp.reduce(scaled, axis=1)
        total = np.sum(weight * (log_sums - scaled[rows, targets]))
        return float(total + ROWS_FOR_ONE * log_sharpness**2)

    found = minimize_scalar(loss, bounds=tuple(np.log(LIMITS)), method="bounded")
    return float(np.exp(found.x))


def sharpened(log_probabilities: np.ndarray, sharpness: float) -> np.ndarray:
    """Return the logarithms of probabilities to the power of `sharpness`, divided by their sum."""
    scaled = log_probabilities * log_probabilities.dtype.type(sharpness)
    logs: np.ndarray = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    return logs


def interval_scores(residuals: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return held-out residuals in predicted standard deviations, sorted for each target.

    Parameters
    ----------
    residuals, std : ndarray of shape (n_samples, n_targets)

    Returns
    -------
    ndarray of shape (at most 1000, n_targets)
    """
    scores = np.sort(np.abs(residuals) / std, axis=0)
    if len(scores) > MOST_SCORES:
        scores = scores[np.linspace(0, len(scores) - 1, MOST_SCORES).round().astype(int)]
    return scores


def interval_width(scores: np.ndarray | None, coverage: float) -> Any:
    """Return half the width of intervals, in standard deviations, for each target.

    It is the ceil((n + 1) coverage)-th smallest of n scores, as in split conformal prediction (Lei, G'Sell,
    Rinaldo, Tibshirani, Wasserman: Distribution-free predictive inference for regression. JASA 2018), and the
    largest where that is more than n. Without scores it is that of a normal distribution.
    """
    if scores is None:
        return ndtri(0.5 + 0.5 * coverage)
    n_scores = len(scores)
    rank = min(int(np.ceil((n_scores + 1) * coverage)), n_scores)
    return scores[rank - 1]
