"""What is drawn of a network as a graph: weights, biases, names, activations of a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples

from fastbp.estimators.mlp import BackPropagation
from fastbp.estimators.regression_targets import quantiles
from fastbp.plots.drawing import same_length
from fastbp.plots.models import feature_names_of, hidden_units, layer_names, network_of


@dataclass(frozen=True, eq=False)
class NetworkGraph:
    """Layers from the inputs to the output.

    Attributes
    ----------
    weights : list of ndarray of shape (n_in, n_out)
    biases : list of ndarray of shape (n_out,), or None without intercepts
    titles : list of str
        One for each layer, the inputs first.
    input_names, output_names : list of str
    activations : list of ndarray of shape (n_units,) or None
        Of one row, the inputs first.
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray] | None
    titles: list[str]
    input_names: list[str]
    output_names: list[str]
    activations: list[np.ndarray] | None = None

    @property
    def sizes(self) -> list[int]:
        """Units of each layer, the inputs first."""
        return [self.weights[0].shape[0], *[one.shape[1] for one in self.weights]]


def graph_of(
    estimator: Any,
    X: Any,
    feature_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
    caller: str,
) -> NetworkGraph:
    """Return the graph of a fitted network, with the activations of the row `X` unless it is None.

    Raises
    ------
    NotFittedError, TypeError
        For an estimator that is not fitted, or not one network.
    ValueError
        For several rows, and for names that do not fit.
    """
    network = network_of(estimator, caller, (BackPropagation,))
    weights, biases, titles = [], [], [f"inputs\n{len(network.coefs_[0])}"]
    names, n_layers = layer_names(len(network.coefs_)), len(network.coefs_)
    is_residual = bool(network._options().residual)
    for layer, (coef, intercept) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        pieces, activation = hidden_units(network, layer)
        weights.append(_strongest(np.asarray(coef), pieces))
        biases.append(_strongest(np.asarray(intercept)[None], pieces)[0])
        n_in, n_out = weights[-1].shape
        adds = is_residual and 0 < layer < n_layers - 1 and n_in == n_out
        titles.append(f"{names[layer]}\n{n_out} {activation}{' + residual' if adds else ''}")
    n_inputs, n_outputs = weights[0].shape[0], weights[-1].shape[1]
    inputs = feature_names if feature_names is not None else feature_names_of(estimator, n_inputs)
    if inputs is None:
        inputs = [f"x{number}" for number in range(n_inputs)]
    outputs = output_names if output_names is not None else output_names_of(network, n_outputs)
    return NetworkGraph(
        weights=weights,
        biases=biases if network.fit_intercept or any(one.any() for one in biases) else None,
        titles=titles,
        input_names=same_length("feature_names", inputs, n_inputs, "inputs"),
        output_names=same_length("output_names", outputs, n_outputs, "outputs"),
        activations=None if X is None else _activations(estimator, network, X),
    )


def output_names_of(network: Any, n_outputs: int) -> list[str]:
    """Return names of the outputs: classes, quantiles, mean and spread, or targets."""
    classes = getattr(network, "classes_", None)
    if classes is not None:
        labels = [str(label) for label in classes]
        if len(labels) == 2 and n_outputs == 1:
            return labels[1:]
        return labels if len(labels) == n_outputs else [f"output {number}" for number in range(n_outputs)]
    levels = quantiles(network._options())
    if len(levels) == n_outputs:
        return [f"quantile {level:g}" for level in levels]
    if network.loss == "gaussian_nll":
        n_targets = n_outputs // 2
        numbers = [""] if n_targets == 1 else [f" {number}" for number in range(n_targets)]
        return [f"{what}{number}" for what in ("mean", "spread") for number in numbers]
    return ["y"] if n_outputs == 1 else [f"y{number}" for number in range(n_outputs)]


def _strongest(weights: np.ndarray, pieces: int) -> np.ndarray:
    """Return one weight for each unit; of maxout units the largest by absolute value of their pieces."""
    if pieces == 1:
        return weights
    grouped = weights.reshape(len(weights), -1, pieces)
    at = np.abs(grouped).argmax(axis=2)
    strongest: np.ndarray = np.take_along_axis(grouped, at[:, :, None], axis=2)[:, :, 0]
    return strongest


def _activations(estimator: Any, network: Any, X: Any) -> list[np.ndarray]:
    if np.ndim(X) == 1 and not hasattr(X, "iloc"):
        X = np.asarray(X)[None]
    n_rows = _num_samples(X)
    if n_rows != 1:
        raise ValueError(
            f"X must be one row, whose activations are drawn, such as X[:1] or frame.iloc[[0]]; got {n_rows}."
        )
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
        X = estimator[:-1].transform(X)
    layers = network.activations(X)
    inputs = X.toarray() if hasattr(X, "toarray") else X
    return [np.asarray(inputs, np.float64)[0], *[layer[0] for layer in layers]]
