"""Predictions of fitted estimators as ONNX nodes: of `predict_proba`, `decision_function` and `predict`."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from fastbp.ensembles import BPEnsembleClassifier
from fastbp.estimators.labels import Labels
from fastbp.functions.loss_lookup import NORMAL_LOSSES
from fastbp.onnx.formulas import log_logistic, logistic, softplus
from fastbp.onnx.graph import INT64, STRING, Graph, Tensor
from fastbp.onnx.network import outputs_of


class ClassScores(NamedTuple):
    """What a classifier makes of rows.

    Attributes
    ----------
    positions : Tensor
        Numbers of the predicted classes, a vector; for multilabel targets zeros and ones of shape
        (n_rows, n_labels).
    scores : Tensor
        Probabilities, or the decision function, of shape (n_rows, n_classes).
    raw : Tensor or None
        Outputs before the activation of the output layer, of the same shape, where there is one network.
    """

    positions: Tensor
    scores: Tensor
    raw: Tensor | None = None


def labels_of(model: Any) -> Labels:
    """The labels of a classifier of any kind."""
    if hasattr(model, "members_"):
        labels: Labels = model._labels
    else:
        labels = (model.estimators_[0] if hasattr(model, "estimators_") else model)._known_labels()
    return labels


def has_probabilities(model: Any) -> bool:
    return hasattr(model, "predict_proba")


# --- One network


def class_scores(model: Any, X: Tensor) -> ClassScores:
    """Of a fitted BPClassifier."""
    labels, outputs = labels_of(model), outputs_of(model, X)
    n_classes, logits = len(labels.classes), outputs.logits
    scores = probabilities(model, X, outputs) if has_probabilities(model) else outputs.values
    threshold = model._threshold()
    if labels.kind == "multilabel":
        positions = _above(outputs.values, threshold)
    elif n_classes == 1:
        positions = _above(outputs.values.columns([0]), np.inf).reshape(0)
    elif labels.one_of_many(labels.n_outputs(model._out_activation())):
        # as in predict: logistic outputs may all round to zero, or several to one
        positions = (logits if model._out_activation() == "logistic" else outputs.values).argmax()
    else:
        positions = _above(outputs.values, threshold).reshape(0)
    if not has_probabilities(model):
        scores = _of_each_class(model, scores - threshold if threshold else scores)
    return ClassScores(positions, scores, _of_each_class(model, logits))


def probabilities(model: Any, X: Tensor, outputs: Any = None) -> Tensor:
    """The probabilities by a BPClassifier, of shape (n_rows, n_classes)."""
    labels = labels_of(model)
    logits, values = outputs_of(model, X) if outputs is None else outputs
    if labels.kind == "multilabel":
        return values
    if len(labels.classes) == 1:
        return logits.columns([0]) * 0.0 + 1.0
    if model._out_activation() == "softmax":
        return values
    if len(labels.classes) == 2:
        return logits.graph.concat([logistic(-logits), logistic(logits)])
    return log_logistic(logits).unary("Softmax", axis=-1)


def _of_each_class(model: Any, scores: Tensor) -> Tensor:
    """A column for each class: the one score of two classes is that of the second."""
    labels = labels_of(model)
    if len(labels.classes) != 2 or labels.kind != "binary" or labels.n_outputs(model._out_activation()) == 2:
        return scores
    return scores.graph.concat([-scores, scores])


def _above(values: Tensor, threshold: float) -> Tensor:
    return (values > threshold).cast(INT64)


def values_and_std(model: Any, X: Tensor, with_std: bool) -> tuple[Tensor, Tensor | None]:
    """The predicted values of a BPRegressor, in its dtype and the units of the targets, and their std."""
    outputs = outputs_of(model, X).values
    n_targets = n_columns = model.coefs_[-1].shape[1]
    values, std = outputs, None
    if model.loss in NORMAL_LOSSES:
        loss = model._loss()
        n_targets = loss.n_targets(n_columns)
        values = outputs.columns(range(n_targets))
        if with_std:
            floor = dict(zip((p.name for p in loss.parameters), _constants(model, loss), strict=True))[
                "floor"
            ]
            raw = outputs.columns(range(n_targets, n_columns))
            std = (softplus(raw) + floor).unary("Sqrt")
    if hasattr(model, "target_mean_"):
        # in float64, as predict does, so that a large mean costs no digits of a small scale
        scale, (low, high) = np.asarray(model.target_scale_), np.asarray(model.target_range_)
        scaled = values.cast(np.float64) * scale + np.asarray(model.target_mean_)
        graph = values.graph
        bounded = graph.node("Min", graph.node("Max", scaled, scaled.constant(low)), scaled.constant(high))
        values = bounded.cast(values.dtype)
        std = None if std is None else (std.cast(np.float64) * scale).cast(std.dtype)
    return values, std


def _constants(model: Any, loss: Any) -> tuple[float, ...]:
    constants: tuple[float, ...] = loss.constants(model._options().loss_params or {})
    return constants


# --- Means


def mean_of(tensors: Sequence[Tensor]) -> Tensor:
    """The mean of tensors of one shape, added in their order."""
    return reduce(lambda a, b: a + b, tensors) / float(len(tensors))


def variance_of(tensors: Sequence[Tensor]) -> Tensor:
    mean = mean_of(tensors)
    deviations = [tensor - mean for tensor in tensors]
    return mean_of([deviation * deviation for deviation in deviations])


def ensemble_scores(model: BPEnsembleClassifier, X: Tensor) -> ClassScores:
    """Of a fitted BPEnsembleClassifier."""
    labels = labels_of(model)
    if has_probabilities(model):
        mean = mean_of([probabilities(member, X) for member in model.estimators_])
        return ClassScores(chosen(mean, labels, 0.5), mean)
    mean = mean_of([class_scores(member, X).scores for member in model.estimators_])
    return ClassScores(chosen(mean, labels, 0.0), mean)


def chosen(scores: Tensor, labels: Labels, threshold: float) -> Tensor:
    """The positions of `ClassScores` for scores of each class."""
    return _above(scores, threshold) if labels.kind == "multilabel" else scores.argmax()


def ensemble_values(model: Any, X: Tensor, with_std: bool) -> tuple[Tensor, Tensor | None]:
    """The predicted values of a BPEnsembleRegressor and their std."""
    found = [
        values_and_std(member, X, with_std and member.loss in NORMAL_LOSSES) for member in model.estimators_
    ]
    means, stds = [mean for mean, _ in found], [std for _, std in found if std is not None]
    if not with_std:
        return mean_of(means), None
    variance = variance_of(means)
    if stds:
        noise = reduce(lambda a, b: a + b, [std * std for std in stds]) / float(len(means))
        variance = noise + variance
    return mean_of(means), variance.unary("Sqrt")


# --- Labels


def label_values(classes: np.ndarray) -> np.ndarray:
    """Classes as ONNX knows labels: int64 or strings; ValueError for others."""
    values = np.asarray(classes)
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind in "iu" and values.astype(np.int64).tolist() == values.tolist():
        return values.astype(np.int64)
    if values.dtype.kind == "f" and np.all(values == np.floor(values)) and np.all(np.abs(values) < 2.0**53):
        return values.astype(np.int64)
    if all(isinstance(value, str) for value in values.tolist()):
        return np.array([str(value) for value in values.tolist()], dtype=object)
    raise ValueError(
        f"ONNX has integers (int64) and strings as labels, but classes_ is {classes!r}: fit with such "
        "labels, or export with the option nocl=True, which gives the number of the class."
    )


def labels_at(graph: Graph, positions: Tensor, classes: np.ndarray) -> Tensor:
    """Labels at positions of a vector."""
    dtype = STRING if classes.dtype == STRING else INT64
    return graph.constant(classes, dtype).rows(positions)
