"""Overflow check: whether the logits and outputs of a network are finite for given rows.

The last step of a fit may diverge while loss and weights are still finite: predictions are then infinite or
NaN. Nearly always a bound from the largest weight and the largest input rules this out in ten microseconds;
else a bound from the weights of each unit does; only if both fail, the outputs of all rows are computed.
"""

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from fastbp.engines.dataset import Dataset, largest_of
from fastbp.functions.activations import ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.normalisation import EPSILON
from fastbp.functions.parametric import PARAMETRICS
from fastbp.plan.network import Kind, NetworkPlan

ROWS_AT_A_TIME = 8192
ROOM = 16  # for intermediate results that are larger than the final ones, and for rounding
# Every activation except exp: |f(z)| <= GROWTH (|z| + 1); selu's is the steepest.
GROWTH = 1.76

EXP, INCREASING = ACTIVATIONS.code("exp"), ROW_ACTIVATIONS.code("increasing")
ROBUST, SCALE, AFFINE, STANDARDISE = map(PARAMETRICS.code, ("robust", "scale", "affine", "standardise"))

BOUNDED = (  # outputs are finite if the logits are
    (Kind.ELEMENTWISE, ACTIVATIONS.code("logistic")),
    (Kind.ROW, ROW_ACTIVATIONS.code("softmax")),
)

Bound = Any  # a float for all values of a buffer, or an array for each column


def predicts(
    engine: ModuleType, network: NetworkPlan, parameters: np.ndarray, rows: Dataset, n_jobs: int | None
) -> bool:
    """Return whether logits and outputs are finite for all rows of X, also those that `rows` leaves out."""
    X, input_bound = rows.X, rows.largest_input
    if input_bound is not None:
        with np.errstate(all="ignore"):
            if _is_safe(network, input_bound, *_by_largest(network, parameters)):
                return True
            if _is_safe(network, np.full(network.n_inputs, input_bound), *_by_unit(network, parameters)):
                return True
        blocks: Any = (X[i : i + ROWS_AT_A_TIME] for i in range(0, X.shape[0], ROWS_AT_A_TIME))
    else:
        blocks = [X]
    last = network.ops[network.n_ops_until("logits") : -1]
    layers = ("logits",) if all((op.kind, op.code) in BOUNDED for op in last) else ("logits", None)
    return all(
        np.isfinite(engine.forward(network, parameters, block, layer, n_jobs=n_jobs)).all()
        for block in blocks
        for layer in layers
    )


def _by_largest(network: NetworkPlan, parameters: np.ndarray) -> tuple[Callable, Callable]:
    """Bounds of a dense layer and of the parameters of a parametric op, from the largest parameter."""
    largest = largest_of(parameters)
    return lambda op, bound: largest * (op.n_in * bound + op.bias), lambda op: (largest, largest)


def _by_unit(network: NetworkPlan, parameters: np.ndarray) -> tuple[Callable, Callable]:
    """The same for each unit, from its own parameters."""
    coefs, intercepts = network.unpack(parameters)
    layers = zip(network.dense, coefs, intercepts, strict=True)
    of_dense = {op.target: (np.abs(W), np.abs(b)) for op, W, b in layers}
    rows = zip(network.parametric, network.rows(parameters), strict=True)
    of_rows = {op.target: np.abs(row).astype(np.float64) for op, row in rows}

    def dense(op, bound):
        weight, bias = of_dense[op.target]
        return bound @ weight.astype(np.float64) + bias

    return dense, lambda op: (of_rows[op.target][0], of_rows[op.target][-1])


def _is_safe(network: NetworkPlan, inputs: Bound, dense: Callable, parameters: Callable) -> bool:
    """Return whether bounds of the inputs exclude values near the largest number in all buffers."""
    most, exponent = _limits(network.dtype)
    bounds: list[Bound] = [0.0] * len(network.widths)
    bounds[0] = inputs
    for op in network.ops:
        bound = bounds[op.source]
        match op.kind:
            case Kind.DENSE:
                bound = dense(op, bound)
            case Kind.ELEMENTWISE:
                if op.code == EXP:
                    bound = 0.0 if _top(bound) < exponent else np.inf
                else:
                    bound = GROWTH * (bound + 1.0)
            case Kind.ROW:
                bound = op.n_out * (_top(bound) + 1.0) * (bound * 0.0 + 1.0)
                if op.code != INCREASING and _top(bound) < most:
                    bound = bound * 0.0 + op.n_out  # shares of one, and values of mean square one
            case Kind.PARAMETRIC:
                p, q = parameters(op)
                if op.code == ROBUST:
                    bound = bound + p
                    bound = bound * 0.0 + 3.0 if _top(bound) < most else bound
                elif op.code == SCALE:
                    bound = p * bound
                elif op.code == AFFINE:
                    bound = p * bound + q
                elif op.code == STANDARDISE:
                    bound = (bound + p) * EPSILON**-0.5
                else:  # blended
                    bound = (1.0 + p) * bound + p * GROWTH * (bound + 1.0)
            case Kind.GROUP:
                bound = bound.reshape(op.n_out, -1).max(axis=1) if isinstance(bound, np.ndarray) else bound
            case Kind.ADD:
                bound = bound + bounds[op.other]
            case Kind.LOSS:
                pass
            case _:  # no bound is known: the outputs are computed
                return False
        if not _top(bound) < most:
            return False
        bounds[op.target] = bound
    return True


def _top(bound: Bound) -> float:
    return float(bound.max()) if isinstance(bound, np.ndarray) else bound


@lru_cache
def _limits(dtype: np.dtype) -> tuple[float, float]:
    """Limits for bounds and for arguments of exp."""
    largest = float(np.finfo(dtype).max)
    return largest / ROOM, float(np.log(largest)) - 1.0
