"""Recorded formulas written out as ONNX nodes, in forms that neither overflow nor lose small values."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastbp.functions import scalar
from fastbp.functions.symbolic.expression import FormulaError, Node, in_order
from fastbp.onnx.graph import Tensor


def exp(x: Tensor) -> Tensor:
    return x.unary("Exp")


def log(x: Tensor) -> Tensor:
    return x.unary("Log")


def tanh(x: Tensor) -> Tensor:
    return x.unary("Tanh")


def expm1(x: Tensor) -> Tensor:
    """e^x - 1 = tanh(x / 2) (e^x + 1), exact near 0; both factors are finite where the result is."""
    return tanh(x * 0.5) * (exp(x) + 1.0)


def logistic(x: Tensor) -> Tensor:
    """1 / (1 + e^-x) without a positive power of e, exact for probabilities near 0."""
    e = exp(-abs(x))
    return x.graph.where(x < 0.0, e, 1.0) / (e + 1.0)


def log1p_exp_neg(x: Tensor) -> Tensor:
    """ln(1 + e^-x) for x >= 0, exact for large x: e log(u) / (u - 1), u = 1 + e (Higham 2002, 1.14.1)."""
    e = exp(-x)
    u = e + 1.0
    rest = u - 1.0
    is_small = rest.equal(0.0)
    safe = x.graph.where(is_small, 1.0, rest)
    return x.graph.where(is_small, e, e * log(u) / safe)


def softplus(x: Tensor) -> Tensor:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)."""
    return x.unary("Relu") + log1p_exp_neg(abs(x))


def log_logistic(x: Tensor) -> Tensor:
    """ln(1 / (1 + e^-x)) = min(x, 0) - ln(1 + e^-|x|)."""
    return -softplus(-x)


def normal_cdf(z: Tensor) -> Tensor:
    """The normal distribution function: by Erf in float32, which ONNX Runtime has not in float64."""
    if z.dtype == np.float32:
        return (z * math.sqrt(0.5)).unary("Erf") * 0.5 + 0.5
    # the engine's own series, see ``fastbp.functions.scalar.normal_cdf``
    x = abs(z) * math.sqrt(0.5)
    t = 2.0 / (x + 2.0)
    tail = 0.5 * t * exp(scalar.log_scaled_erfc(t) - x * x)
    return z.graph.where(z > 0.0, 1.0 - tail, tail)


def normal_density(z: Tensor) -> Tensor:
    return exp(z * z * -0.5) * (1 / math.sqrt(2 * math.pi))


def mod(x: Tensor, y: Any) -> Tensor:
    """The remainder with the sign of y, as Python's."""
    return x - y * (x / y).unary("Floor")


def _operator(name: str) -> Callable[[Tensor], Tensor]:
    return lambda x: x.unary(name)


def _reduction(name: str) -> Callable[[Tensor], Tensor]:
    return lambda x: x.reduce(name)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a.equal(b),
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "fma": lambda a, b, c: a * b + c,
    "select": lambda mask, a, b: mask.graph.where(mask, a, b),
    "sqrt": _operator("Sqrt"),
    "absolute": abs,
    "rint": _operator("Round"),
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "tanh": tanh,
    "logistic": logistic,
    "softplus": softplus,
    "log1p_exp_neg": log1p_exp_neg,
    "normal_cdf": normal_cdf,
    "normal_density": normal_density,
    "sin": _operator("Sin"),
    "cos": _operator("Cos"),
    "floor": _operator("Floor"),
    "power": lambda x, y: x.graph.node("Pow", x, y),
    "mod": mod,
    "sum": _reduction("ReduceSum"),
    "max": _reduction("ReduceMax"),
    "min": _reduction("ReduceMin"),
}


def written_out(result: Node, inputs: Mapping[str, Tensor]) -> Tensor:
    """Add the nodes of an expression; equal parts are computed once.

    Parameters
    ----------
    result : Node
    inputs : mapping of str to Tensor
        By the names of the expression's inputs; all of one dtype.
    """
    like = next(iter(inputs.values()))
    values: dict[Node, Tensor] = {}
    for one in in_order((result,)):
        if one.op == "constant":
            values[one] = like.graph.constant(one.value, like.dtype)
        elif one.op == "input":
            values[one] = inputs[one.value]
        elif one.op in OPERATIONS:
            values[one] = OPERATIONS[one.op](*(values[arg] for arg in one.args))
        else:
            raise FormulaError(f"{one.op} has no expression in ONNX.")
    return values[result]
