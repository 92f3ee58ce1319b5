"""Derivatives of expressions by the chain rule from the result back: reverse-mode differentiation.

Griewank and Walther, "Evaluating Derivatives", 2nd ed., section 3.2.
"""

from collections.abc import Callable
from typing import Any

from fastbp.functions.symbolic.expression import (
    LENGTH,
    FormulaError,
    Node,
    constant,
    in_order,
    node,
    variable,
)
from fastbp.functions.symbolic.numpy_calls import apply, power

ZERO = constant(0.0)

# Of each operation: from the derivative g by its result r and its arguments, those by the arguments.
RULES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "add": lambda g, r, a, b: (g, g),
    "sub": lambda g, r, a, b: (g, -g),
    "mul": lambda g, r, a, b: (g * b, g * a),
    "div": lambda g, r, a, b: (g / b, -g * r / b),
    "neg": lambda g, r, a: (-g,),
    "fma": lambda g, r, a, b, c: (g * b, g * a, g),
    "select": lambda g, r, m, a, b: (None, _either(m, g, ZERO), _either(m, ZERO, g)),
    "sqrt": lambda g, r, a: (0.5 * g / r,),
    "absolute": lambda g, r, a: (_either(a > 0.0, g, _either(a < 0.0, -g, ZERO)),),
    "rint": lambda g, r, a: (ZERO,),
    "exp": lambda g, r, a: (g * r,),
    "expm1": lambda g, r, a: (g * (r + 1.0),),
    "log": lambda g, r, a: (g / a,),
    "tanh": lambda g, r, a: (g * (1.0 - r * r),),
    "logistic": lambda g, r, a: (g * (r * (1.0 - r)),),
    "softplus": lambda g, r, a: (g * apply("logistic", a),),
    "log1p_exp_neg": lambda g, r, a: (-g * apply("logistic", -a),),
    "normal_cdf": lambda g, r, a: (g * apply("normal_density", a),),
    "normal_density": lambda g, r, a: (-g * a * r,),
    "sin": lambda g, r, a: (g * apply("cos", a),),
    "cos": lambda g, r, a: (-g * apply("sin", a),),
    "power": lambda g, r, a, b: (
        g * b * power(a, b - 1.0),
        ZERO if b.is_constant else g * r * apply("log", a),
    ),
    "sum": lambda g, r, a: (g,),
    "max": lambda g, r, a: (_either(apply("eq", a, r), g, ZERO),),
    "min": lambda g, r, a: (_either(apply("eq", a, r), g, ZERO),),
}


def _either(mask: Any, a: Node, b: Node) -> Node:
    return node("select", mask, a, b)


def derivative(result: Node, by: Node) -> Node:
    """Return the derivative of a number by an input: a row, if the input is one.

    At a kink it is that of one of the sides.

    Raises
    ------
    FormulaError
        For an operation that has no derivative.
    """
    slopes: dict[Node, Node] = {result: constant(1.0)}
    for one in reversed(in_order([result])):
        if one not in slopes or not one.args or one.is_mask:
            continue
        if one.op not in RULES:
            raise FormulaError(f"{one.op} has no derivative: give the formula's derivative yourself.")
        for arg, slope in zip(one.args, RULES[one.op](slopes[one], one, *one.args), strict=True):
            if slope is None or slope is ZERO or arg.is_constant:
                continue
            if one.is_row and not arg.is_row:  # a number that all elements of the row depend on
                slope = node("sum", slope) if slope.is_row else slope * variable(LENGTH)
            slopes[arg] = slopes[arg] + slope if arg in slopes else slope
    return slopes.get(by, ZERO)
