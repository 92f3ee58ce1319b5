"""The converters, known to skl2onnx: parsers declare the outputs of a model, shapes their sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp.ensembles import BPEnsembleClassifier, BPEnsembleRegressor
from fastbp.estimators.classifier import BPClassifier
from fastbp.estimators.regressor import BPRegressor
from fastbp.onnx.encoders import periodic, piecewise_linear
from fastbp.onnx.features import register_features
from fastbp.onnx.graph import Graph, dtype_of, n_rows_of, numbers_of
from fastbp.onnx.libraries import parse, require, skl2onnx, types
from fastbp.onnx.predictions import (
    ClassScores,
    class_scores,
    ensemble_scores,
    ensemble_values,
    has_probabilities,
    label_values,
    labels_at,
    labels_of,
    values_and_std,
)
from fastbp.onnx.tables import encoded, table_scores, table_values
from fastbp.preprocessing import PeriodicEncoder, PiecewiseLinearEncoder
from fastbp.tables import TabularClassifier, TabularRegressor

CLASSIFIER_OPTIONS: dict[str, list] = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}
REGRESSOR_OPTIONS: dict[str, list] = {"return_std": [True, False]}


def register() -> None:
    """Make the package's estimators known to skl2onnx."""
    require()

    def add(kind: type, shape: Callable, convert: Callable, parser: Callable | None, options: dict | None):
        skl2onnx.update_registered_converter(
            kind, f"Fastbp{kind.__name__}", shape, convert, parser=parser, options=options
        )

    with_raw = CLASSIFIER_OPTIONS | {"raw_scores": [True, False]}
    add(BPClassifier, classifier_shapes, convert_classifier, parse_classifier, with_raw)
    kind: type
    for kind in (BPEnsembleClassifier, TabularClassifier):
        add(kind, classifier_shapes, convert_classifier, parse_classifier, CLASSIFIER_OPTIONS)
    for kind in (BPRegressor, BPEnsembleRegressor, TabularRegressor):
        add(kind, regressor_shapes, convert_regressor, parse_regressor, REGRESSOR_OPTIONS)
    for kind in (PiecewiseLinearEncoder, PeriodicEncoder):
        add(kind, encoder_shapes, convert_encoder, None, None)
    register_features()


# --- Classifiers


def parse_classifier(scope: Any, model: Any, inputs: list, custom_parsers: Any = None) -> list:
    """Declare label and scores; in one matrix, or with the option `zipmap` as dictionaries or columns.

    Those of a multilabel target always are one matrix.
    """
    zipmap = scope.get_options(model, {"zipmap": True})["zipmap"]
    raw = scope.get_options(model, {"raw_scores": False}, fail=False) or {}
    is_multilabel = labels_of(model).kind == "multilabel"
    if not is_multilabel and zipmap is not True:
        outputs = parse._parse_sklearn_classifier(scope, model, inputs, custom_parsers=custom_parsers)
    else:
        outputs = parse._parse_sklearn_simple_model(scope, model, inputs, custom_parsers=custom_parsers)
        if not is_multilabel:
            outputs[1].set_type(types.FloatTensorType())  # ZipMap takes nothing else
            outputs = parse._apply_zipmap(True, scope, model, outputs[1].type, outputs)
    for operator in scope.operators.values():
        if operator.raw_operator is model:
            # Here the user has set the option. CalibratedClassifierCV and others set it, past this parser, to
            # get the decision function, which a model of probabilities has not.
            operator.wants_raw_scores = raw.get("raw_scores", False)
    return outputs


def classifier_shapes(operator: Any) -> None:
    model, n_rows = operator.raw_operator, n_rows_of(operator)
    labels = labels_of(model)
    n_classes = len(labels.classes)
    label, scores = operator.outputs[:2]
    if labels.kind == "multilabel":
        label.set_type(types.Int64TensorType([n_rows, n_classes]))
    elif classes_of(operator).dtype.kind == "O":
        label.set_type(types.StringTensorType([n_rows]))
    else:
        label.set_type(types.Int64TensorType([n_rows]))
    scores.set_type(type(scores.type)([n_rows, n_classes]))


def classes_of(operator: Any) -> np.ndarray:
    """The labels of the export: with the option `nocl` the numbers of the classes."""
    classes = labels_of(operator.raw_operator).classes
    options = operator.scope_inst.get_options(operator.raw_operator, {"nocl": False})
    return np.arange(len(classes)) if options["nocl"] else label_values(classes)


def convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph, model = Graph(scope, container), operator.raw_operator
    found = scores_by(graph, operator)
    is_raw = getattr(operator, "wants_raw_scores", False) and has_probabilities(model)
    positions = found.positions
    if labels_of(model).kind != "multilabel":
        positions = labels_at(graph, positions, classes_of(operator))
    graph.store(positions, operator.outputs[0])
    raw = found.raw if is_raw else None
    graph.store(found.scores if raw is None else raw, operator.outputs[1])


def scores_by(graph: Graph, operator: Any) -> ClassScores:
    model = operator.raw_operator
    if isinstance(model, BPClassifier):
        return class_scores(model, numbers_of(graph, operator))
    if isinstance(model, TabularClassifier):
        return table_scores(model, encoded(graph, operator))
    return ensemble_scores(model, numbers_of(graph, operator))


# --- Regressors


def parse_regressor(scope: Any, model: Any, inputs: list, custom_parsers: Any = None) -> list:
    """Declare the values, and with the option `return_std` their standard deviations."""
    outputs = parse._parse_sklearn_simple_model(scope, model, inputs, custom_parsers=custom_parsers)
    if scope.get_options(model, {"return_std": False})["return_std"]:
        outputs.append(scope.declare_local_variable("std", types.guess_tensor_type(inputs[0].type)))
    return outputs


def regressor_shapes(operator: Any) -> None:
    for output in operator.outputs:
        output.set_type(type(output.type)([n_rows_of(operator), n_values_of(operator.raw_operator)]))


def n_values_of(model: Any) -> int:
    """Columns of the values."""
    if isinstance(model, TabularRegressor):
        return int(model.n_outputs_)
    one = model.estimators_[0] if isinstance(model, BPEnsembleRegressor) else model
    n_outputs = one.coefs_[-1].shape[1]
    loss = one._loss()
    return int(n_outputs if loss.one_target else loss.n_targets(n_outputs))


def convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, model = Graph(scope, container), operator.raw_operator
    with_std = len(operator.outputs) > 1
    if isinstance(model, BPRegressor):
        if with_std and model._loss().normal is None:
            raise ValueError(
                f"return_std=True needs loss='gaussian_nll', got loss={model.loss!r}: leave the option out."
            )
        found = values_and_std(model, numbers_of(graph, operator), with_std)
    elif isinstance(model, TabularRegressor):
        found = table_values(model, encoded(graph, operator), with_std)
    else:
        found = ensemble_values(model, numbers_of(graph, operator), with_std)
    for tensor, output in zip(found, operator.outputs, strict=False):
        assert tensor is not None
        graph.store(tensor, output)


# --- Encoders


def encoder_shapes(operator: Any) -> None:
    n_columns = len(operator.raw_operator.get_feature_names_out())
    output = operator.outputs[0]
    output.set_type(type(output.type)([n_rows_of(operator), n_columns]))


def convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    graph, model = Graph(scope, container), operator.raw_operator
    X = numbers_of(graph, operator).cast(dtype_of(operator.outputs[0].type))
    encode = piecewise_linear if isinstance(model, PiecewiseLinearEncoder) else periodic
    graph.store(encode(model, X), operator.outputs[0])
