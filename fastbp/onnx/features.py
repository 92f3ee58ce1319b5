"""Networks that are transformers in a pipeline: the following steps see what the network has learnt."""

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from fastbp.estimators.inspection import FittedNetwork
from fastbp.onnx.graph import Graph, n_rows_of, numbers_of
from fastbp.onnx.libraries import parse, skl2onnx, types
from fastbp.onnx.network import features_of

ALIAS = "FastbpHiddenFeatures"


def register_features() -> None:
    """Register the parsers of what networks may be transformers in; without networks, they are skl2onnx's."""
    skl2onnx.common._registration.register_converter(ALIAS, convert_features, overwrite=True)
    skl2onnx.common._registration.register_shape_calculator(ALIAS, feature_shapes, overwrite=True)
    skl2onnx.update_registered_parser(Pipeline, parse_pipeline)
    skl2onnx.update_registered_parser(FeatureUnion, parse_feature_union)
    skl2onnx.update_registered_parser(ColumnTransformer, parse_column_transformer)


def parse_pipeline(scope: Any, model: Any, inputs: list, custom_parsers: Any = None) -> list:
    """Declare the operators of a pipeline's steps, where a network before the last one is a transformer."""
    begin = 0
    for place, (_, step) in enumerate(model.steps[:-1]):
        if isinstance(step, FittedNetwork):
            if place > begin:
                inputs = _parse_steps(scope, model, begin, place, inputs, custom_parsers)
            inputs, begin = _declared(scope, step, inputs), place + 1
    if not begin:
        return parse._parse_sklearn_pipeline(scope, model, inputs, custom_parsers=custom_parsers)
    return _parse_steps(scope, model, begin, None, inputs, custom_parsers)


def _parse_steps(scope: Any, model: Any, begin: int, end: int | None, inputs: list, parsers: Any) -> list:
    part = Pipeline(model.steps[begin:end])
    return parse._parse_sklearn_pipeline(scope, part, inputs, custom_parsers=parsers)


def parse_feature_union(scope: Any, model: Any, inputs: list, custom_parsers: Any = None) -> list:
    _refuse_networks(model, [step for _, step in model.transformer_list])
    return parse._parse_sklearn_feature_union(scope, model, inputs, custom_parsers=custom_parsers)


def parse_column_transformer(scope: Any, model: Any, inputs: list, custom_parsers: Any = None) -> list:
    _refuse_networks(model, [step for _, step, _ in model.transformers_])
    return parse._parse_sklearn_column_transformer(scope, model, inputs, custom_parsers=custom_parsers)


def _refuse_networks(model: Any, steps: list) -> None:
    for step in steps:
        if isinstance(step, Pipeline):
            step = step.steps[-1][1]
        if isinstance(step, FittedNetwork):
            raise NotImplementedError(
                f"A {type(step).__name__} inside a {type(model).__name__} cannot be exported to ONNX: make "
                "it a step of the pipeline."
            )


def _declared(scope: Any, model: Any, inputs: list) -> list:
    operator = scope.declare_local_operator(ALIAS, model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("features", types.guess_tensor_type(inputs[0].type)))
    return list(operator.outputs)


def feature_shapes(operator: Any) -> None:
    n_features = operator.raw_operator.coefs_[-1].shape[0]
    output = operator.outputs[0]
    output.set_type(type(output.type)([n_rows_of(operator), n_features]))


def convert_features(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, container)
    graph.store(features_of(operator.raw_operator, numbers_of(graph, operator)), operator.outputs[0])
