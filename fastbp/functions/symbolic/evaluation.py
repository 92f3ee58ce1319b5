"""Expressions computed by NumPy: for checks of formulas, not for training."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from fastbp.functions.symbolic.expression import COMPARISONS, LENGTH, Node, in_order

OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in COMPARISONS},
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": np.true_divide,
    "neg": operator.neg,
    "fma": lambda a, b, c: a * b + c,
    "select": np.where,
    "sqrt": np.sqrt,
    "absolute": np.abs,
    "rint": np.rint,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "tanh": np.tanh,
    "logistic": special.expit,
    "softplus": lambda x: np.logaddexp(0.0, x),
    "log1p_exp_neg": lambda x: np.log1p(np.exp(-x)),
    "normal_cdf": special.ndtr,
    "normal_density": lambda x: np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    "sin": np.sin,
    "cos": np.cos,
    "floor": np.floor,
    "power": np.power,
    "mod": np.mod,
    "sum": lambda x: np.sum(x, axis=-1, keepdims=True),
    "max": lambda x: np.max(x, axis=-1, keepdims=True),
    "min": lambda x: np.min(x, axis=-1, keepdims=True),
}


def evaluate(results: tuple[Node, ...], inputs: Mapping[str, Any]) -> list[np.ndarray]:
    """Values of expressions, in float64 without warnings.

    Parameters
    ----------
    results : tuple of Node
    inputs : mapping of str to array-like
        By the names of the inputs: numbers, or arrays that broadcast. Rows lie along the last axis, and
        numbers beside rows have that axis with length 1.
    """
    values: dict[Node, Any] = {}
    with np.errstate(all="ignore"):
        for one in in_order(results):
            if one.op == "constant":
                values[one] = np.float64(one.value)
            elif one.op == "input":
                values[one] = np.asarray(inputs[one.value], dtype=np.float64)
            else:
                values[one] = OPERATIONS[one.op](*(values[arg] for arg in one.args))
    return [values[result] for result in results]


def length_of(row: np.ndarray) -> dict[str, float]:
    """The input that is the number of outputs."""
    return {LENGTH: float(row.shape[-1])}
