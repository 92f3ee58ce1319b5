"""The encodings of ``fastbp.preprocessing`` as ONNX nodes."""

import numpy as np

from fastbp.onnx.formulas import cos, sin
from fastbp.onnx.graph import Tensor
from fastbp.preprocessing import PeriodicEncoder, PiecewiseLinearEncoder


def piecewise_linear(encoder: PiecewiseLinearEncoder, X: Tensor) -> Tensor:
    """Positions within bins, those of a feature side by side; X is float32 or float64."""
    edges = encoder.bin_edges_
    which = np.repeat(np.arange(len(edges)), [len(one) - 1 for one in edges])
    halves = [one / 2 for one in edges]  # as in the encoder, so that no difference overflows
    begin = np.concatenate([half[:-1] for half in halves])
    width = np.concatenate([np.diff(half) for half in halves])
    position = ((X * 0.5).columns(which).cast(np.float64) - begin) / width
    return position.clip(0.0, 1.0).cast(X.dtype)


def periodic(encoder: PeriodicEncoder, X: Tensor) -> Tensor:
    """The features, then sines, then cosines; X is float32 or float64."""
    n_features, n_frequencies = encoder.frequencies_.shape
    angular = (2 * np.pi * encoder.frequencies_).astype(X.dtype)
    angles = X.columns(np.repeat(np.arange(n_features), n_frequencies)) * angular.ravel()
    return X.graph.concat([X, sin(angles), cos(angles)])
