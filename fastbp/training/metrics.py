"""Metrics of encoded rows, for early stopping and for `score`."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import d2_pinball_score


def accuracy(
    outputs: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray | None,
    multilabel: bool,
    threshold: float,
) -> float:
    """Weighted fraction of rows with all labels right; targets are 0 and 1."""
    if multilabel:
        right = ((outputs > threshold) == (targets > 0.5)).all(axis=1)
    elif outputs.shape[1] == 1:
        right = (outputs[:, 0] > threshold) == (targets[:, 0] > 0.5)
    else:
        label = targets[:, 0] if targets.shape[1] == 1 else targets.argmax(axis=1)
        right = outputs.argmax(axis=1) == label
    return float(np.average(right, weights=weight))


def r_squared(outputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
    """R² averaged over the outputs, as ``sklearn.metrics.r2_score``: a constant target counts as 1 or 0."""
    outputs, targets = outputs.astype(np.float64), targets.astype(np.float64)
    row_weight = np.ones((len(targets), 1)) if weight is None else weight.astype(np.float64)[:, None]
    mean = np.average(targets, axis=0, weights=weight)
    residual = (row_weight * (targets - outputs) ** 2).sum(axis=0)
    total = (row_weight * (targets - mean) ** 2).sum(axis=0)
    constant = np.where(residual == 0, 1.0, 0.0)
    varies = total != 0
    return float(np.mean(np.where(varies, 1 - residual / np.where(varies, total, 1), constant)))


def d2_pinball(y: np.ndarray, outputs: np.ndarray, quantiles: Sequence[float], weight) -> float:
    """Mean over several quantiles of D², the fraction of pinball loss explained (0 for constants)."""
    scores = [
        d2_pinball_score(y, column, sample_weight=weight, alpha=quantile)
        for column, quantile in zip(outputs.T, quantiles, strict=True)
    ]
    return float(np.mean(scores))
