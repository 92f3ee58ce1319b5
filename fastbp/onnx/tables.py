"""Predictions of the table models as ONNX nodes."""

from typing import Any

import numpy as np

from fastbp.onnx.encoders import periodic, piecewise_linear
from fastbp.onnx.graph import Graph, Tensor
from fastbp.onnx.predictions import (
    ClassScores,
    chosen,
    labels_of,
    mean_of,
    probabilities,
    values_and_std,
    variance_of,
)
from fastbp.onnx.treatments import encoded_columns, input_columns
from fastbp.tables import TabularClassifier, TabularRegressor
from fastbp.tables.calibration import SMALLEST
from fastbp.tables.members import Member
from fastbp.tables.views import FINE_BINS, LIMIT, View

Encoded = tuple[Tensor | None, Tensor | None]


def encoded(graph: Graph, operator: Any) -> Encoded:
    """The numeric and the binary columns of the encoded table."""
    encoder = operator.raw_operator.encoder_
    if encoder.scaler_ is None:
        return encoded_columns(input_columns(graph, operator.inputs, encoder), encoder)
    tensors = [graph.input(variable) for variable in operator.inputs]
    dtype = np.float64 if any(tensor.dtype == np.float64 for tensor in tensors) else np.float32
    X = graph.concat([tensor.cast(dtype) for tensor in tensors])
    return (X / np.asarray(encoder.scaler_.scale_)).cast(np.float32), None


def table_scores(model: TabularClassifier, table: Encoded) -> ClassScores:
    labels = labels_of(model)
    mean = mean_of([_mixed(member, table, probabilities) for member in model.members_])
    if labels.kind != "multilabel":
        logs = mean.graph.node("Max", mean, mean.constant(SMALLEST)).unary("Log")
        mean = (logs * float(model.sharpness_)).unary("Softmax", axis=-1)
    return ClassScores(chosen(mean, labels, 0.5), mean)


def table_values(model: TabularRegressor, table: Encoded, with_std: bool) -> tuple[Tensor, Tensor | None]:
    means, stds = [], []
    for member in model.members_:
        means.append(_mixed(member, table, lambda network, X: values_and_std(network, X, False)[0]))
        if with_std:
            stds.append(values_and_std(member.network, _inputs(member, table), True)[1])
    if not with_std:
        return mean_of(means), None
    dtype = means[0].dtype
    variances = [(std * std).cast(dtype) for std in stds if std is not None]
    return mean_of(means), (mean_of(variances) + variance_of(means)).unary("Sqrt")


def _mixed(member: Member, table: Encoded, predict: Any) -> Tensor:
    """A member's prediction, mixed with that of its linear model."""
    found: Tensor = predict(member.network, _inputs(member, table))
    if not member.linear_weight:
        return found
    linear: Tensor = predict(member.linear, side_by_side(*table))
    dtype = np.promote_types(found.dtype, linear.dtype)
    found, linear = found.cast(dtype), linear.cast(dtype)
    return found + (linear - found) * member.linear_weight


def _inputs(member: Member, table: Encoded) -> Tensor:
    numeric, binary = table
    return side_by_side(None if numeric is None else _viewed(member.view, numeric), binary)


def side_by_side(numeric: Tensor | None, binary: Tensor | None) -> Tensor:
    parts = [part for part in (numeric, binary) if part is not None]
    return parts[0].graph.concat(parts)


def _viewed(view: View, numeric: Tensor) -> Tensor:
    if view._waves is not None:
        return periodic(view._waves, _smoothly_bounded(numeric))
    if view._bins is None:
        return numeric
    bins = piecewise_linear(view._bins, numeric)
    return bins if view.name == FINE_BINS else numeric.graph.concat([_smoothly_bounded(numeric), bins])


def _smoothly_bounded(x: Tensor) -> Tensor:
    r = x / LIMIT
    return x / (r * r + 1.0).unary("Sqrt")
