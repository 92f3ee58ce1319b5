"""Scores of table models."""

from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

COVERAGE = 0.9


def scores(model: Any, X: Any, y: np.ndarray, weight: np.ndarray | None) -> dict[str, float]:
    """Score a table model on rows that it was not trained on.

    Returns
    -------
    dict
        Accuracy, log loss and, of two classes, the area under the ROC curve; or R², the root of the mean
        squared error, the mean absolute error and the share of targets within intervals of 90 %.
    """
    if hasattr(model, "classes_"):
        return class_scores(model.classes_, model.predict_proba(X), y, weight)
    low, high = model.predict_interval(X, coverage=COVERAGE).T
    inside = float(np.average((low <= y) & (y <= high), weights=weight))
    return number_scores(model.predict(X), y, weight) | {"coverage of 90 % intervals": inside}


def class_scores(
    classes: np.ndarray, probabilities: np.ndarray, y: np.ndarray, weight: np.ndarray | None
) -> dict[str, float]:
    """Score probabilities of classes; a class that the model does not know has the probability 0."""
    predicted = classes[probabilities.argmax(axis=1)]
    found = {"accuracy": float(accuracy_score(y, predicted, sample_weight=weight))}
    is_class = y[:, np.newaxis] == classes
    of_target = (probabilities * is_class).sum(axis=1, dtype=np.float64)
    smallest = np.finfo(probabilities.dtype).eps
    found["log loss"] = float(-np.average(np.log(np.maximum(of_target, smallest)), weights=weight))
    if len(classes) == 2 and is_class.any(axis=1).all() and is_class.any(axis=0).all():
        found["ROC AUC"] = float(roc_auc_score(is_class[:, 1], probabilities[:, 1], sample_weight=weight))
    return found


def number_scores(predicted: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> dict[str, float]:
    """Score predictions of numbers."""
    found = {} if len(y) < 2 else {"R²": float(r2_score(y, predicted, sample_weight=weight))}
    found["RMSE"] = float(root_mean_squared_error(y, predicted, sample_weight=weight))
    found["mean absolute error"] = float(mean_absolute_error(y, predicted, sample_weight=weight))
    return found


def member_scores(model: Any) -> dict[str, float]:
    """Score each network on the rows that it was not trained on; empty where there are none."""
    pairs = list(zip(model.members_, model._held_out, strict=False))
    if not pairs:
        return {}
    targets = np.concatenate([rows.targets for _, rows in pairs])
    weights = [rows.weight for _, rows in pairs if rows.weight is not None]
    weight = np.concatenate(weights) if weights else None
    if hasattr(model, "classes_"):
        found = [member.predict("predict_proba", rows.encoded) for member, rows in pairs]
        return class_scores(np.arange(len(model.classes_)), np.concatenate(found), targets, weight)
    found = [member.predict("predict", rows.encoded).ravel() for member, rows in pairs]
    return number_scores(np.concatenate(found), targets.ravel(), weight)


def scores_text(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())
