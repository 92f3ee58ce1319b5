"""The formulas of ``fastbp.functions`` computed with tensors, which writes them out as ONNX nodes.

exp, log, tanh and related functions are in forms that neither overflow nor lose small values.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np

from fastbp.functions import primitives, scalar
from fastbp.onnx.graph import Tensor

OWN = "fastbp.functions"  # modules whose formulas are written with the primitives


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
    is_small = rest == 0.0
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


def sin(x: Tensor) -> Tensor:
    return x.unary("Sin")


def cos(x: Tensor) -> Tensor:
    """The cosine; in float64 by the sine, since ONNX Runtime 1.20 has no Cos there."""
    return x.unary("Cos") if x.dtype == np.float32 else sin(x + math.pi / 2)


def _operator(name: str) -> Callable[[Tensor], Tensor]:
    return lambda x: x.unary(name)


def _select(mask: Tensor, a: Any, b: Any) -> Tensor:
    return mask.graph.where(mask, a, b)


def _of_rows(*args: Any) -> None:
    raise NotImplementedError("The formula of a row is not computed with tensors of numbers.")


# By their names in ``fastbp.functions.primitives``; others, such as fma, are as for any number.
PRIMITIVES: dict[str, Callable[..., Any]] = {
    "select": _select,
    "sqrt": _operator("Sqrt"),
    "rint": _operator("Round"),
    "like": lambda x, value: x.constant(value),
    "get": _of_rows,
    "put": _of_rows,
}
# By their names in ``fastbp.functions.scalar``.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "tanh": tanh,
    "logistic": logistic,
    "softplus": softplus,
    "log1p_exp_neg": log1p_exp_neg,
    "normal_cdf": normal_cdf,
    "normal_density": normal_density,
    "sin": sin,
    "cos": cos,
}


@lru_cache(maxsize=1000)
def for_tensors(function: FunctionType) -> Callable[..., Tensor]:
    """A copy of a formula of numbers, registered or made of a user's own, that takes tensors."""
    name, module = function.__name__, function.__module__
    if module == primitives.__name__:
        return PRIMITIVES.get(name, function)
    if module == scalar.__name__ and name in FUNCTIONS:
        return FUNCTIONS[name]
    names = function.__code__.co_names
    around = {name: _translated(function.__globals__[name]) for name in names if name in function.__globals__}
    cells = tuple(CellType(_translated(cell.cell_contents)) for cell in function.__closure__ or ())
    return FunctionType(function.__code__, around, name, function.__defaults__, cells)


def _translated(value: Any) -> Any:
    """What a global name or an enclosed variable of a formula stands for in its copy."""
    if isinstance(value, FunctionType) and value.__module__.startswith(OWN):
        return for_tensors(value)
    return _Module(value) if isinstance(value, ModuleType) else value


class _Module:
    """A module of formulas, whose functions take tensors."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return _translated(getattr(self._module, name))
