"""Logarithms of class probabilities, from the logits of a network: finite if the logits are."""

import numpy as np

from fastbp.estimators.labels import Labels


def log_probabilities(labels: Labels, logits: np.ndarray, out_activation: str) -> np.ndarray:
    """Log-probability of each class, or of each multilabel label; shape (n_samples, n_classes)."""
    if labels.kind != "multilabel" and len(labels.classes) == 1:
        return np.zeros((len(logits), 1), dtype=logits.dtype)
    if out_activation == "softmax":
        return _log_softmax(logits)
    positive = _log_logistic(logits)
    if labels.kind == "multilabel":
        return positive
    if len(labels.classes) == 2:
        return np.hstack([_log_logistic(-logits), positive])
    return _log_softmax(positive)


def _log_logistic(logits: np.ndarray) -> np.ndarray:
    """ln(1 / (1 + e^-z)) = min(z, 0) - ln(1 + e^-|z|), which never overflows."""
    return np.minimum(logits, 0) - np.log1p(np.exp(-np.abs(logits)))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """z - ln sum e^z of each row, shifted by the row's maximum so that nothing overflows."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
