"""Entries of the registries of functions as ONNX nodes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp.functions.activations import Activation, GroupActivation, OnnxOperator, RowActivation
from fastbp.functions.normalisation import EPSILON
from fastbp.functions.parametric import Parametric
from fastbp.onnx.formulas import for_tensors, softplus
from fastbp.onnx.graph import INT64, Tensor

# Operators that ONNX Runtime computes in float64; the others have kernels for float32 alone.
IN_FLOAT64 = ("Identity", "Exp", "Relu", "Sigmoid", "Softmax", "Tanh", "Swish")


def activation(entry: Activation, z: Tensor, *, exact: bool = False) -> Tensor:
    """f(z), by the operator of the entry if the export's opset and dtype have it, else by its formula.

    Parameters
    ----------
    exact : bool, default=False
        By the formula, for outputs: operators round values near 0, as probabilities may be, to a
        precision for numbers near 1.
    """
    operator = entry.onnx
    if operator is not None and operator.name == "Identity":
        return z
    if operator is not None and not exact and _has(operator, z):
        return z.unary(operator.name, **dict(operator.attributes))
    return for_tensors(entry.value)(z)


def parametric(entry: Parametric, z: Tensor, parameters: tuple[np.ndarray, ...]) -> Tensor:
    """f(z; p, q) with the parameters of each column."""
    p, q = (z.constant(values) for values in (parameters[0], parameters[-1]))
    return for_tensors(entry.value)(z, p, q)


def row_activation(entry: RowActivation, z: Tensor, n: int) -> Tensor:
    """A function of rows of n values."""
    if entry.onnx is not None and _has(entry.onnx, z):
        return z.unary(entry.onnx.name, **dict(entry.onnx.attributes))
    return _of_rows(ROWS, entry)(z, n)


def group_activation(entry: GroupActivation, z: Tensor, n_out: int, k: int) -> Tensor:
    """A function of k values side by side, for each of n_out units."""
    return _of_rows(GROUPS, entry)(z, n_out, k)


def _has(operator: OnnxOperator, z: Tensor) -> bool:
    return z.graph.has(operator.name) and (z.dtype == np.float32 or operator.name in IN_FLOAT64)


# --- Functions of rows, whose formulas have loops


def _of_rows(known: dict[str, Callable[..., Tensor]], entry: Any) -> Callable[..., Tensor]:
    if entry.name not in known:
        raise NotImplementedError(
            f"The function {entry.name!r} of a row has no ONNX operator, and none is written in fastbp.onnx."
        )
    return known[entry.name]


def _increasing(z: Tensor, n: int) -> Tensor:
    if n == 1:
        return z
    steps = softplus(z.columns(range(1, n)))
    terms = z.graph.concat([z.columns([0]), steps])
    return z.graph.node("CumSum", terms, z.graph.constant(1, INT64))


def _layer_norm(z: Tensor, n: int) -> Tensor:
    centred = z - z.reduce("ReduceMean")
    variance = (centred * centred).reduce("ReduceMean")
    return centred / (variance + EPSILON).unary("Sqrt")


def _maxout(z: Tensor, n_out: int, k: int) -> Tensor:
    return z.reshape(0, n_out, k).reduce("ReduceMax", axis=2, keepdims=False)


ROWS: dict[str, Callable[..., Tensor]] = {"increasing": _increasing, "layer_norm": _layer_norm}
GROUPS: dict[str, Callable[..., Tensor]] = {"maxout": _maxout}
