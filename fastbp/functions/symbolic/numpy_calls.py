"""Python's operators and NumPy's functions on expressions, so that formulas are written as for arrays."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp.functions.symbolic.expression import LENGTH, FormulaError, Node, constant, node, variable
from fastbp.functions.values import as_float

LARGEST_POWER = 16  # of a product; beyond that powers are taken by exp and log


def as_node(value: Any) -> Node:
    """Convert a number; FormulaError for anything else."""
    if isinstance(value, Node):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    number = None if isinstance(value, bool) else as_float(value)
    if number is not None:
        return constant(number)
    raise FormulaError(f"a formula computes with numbers and its arguments, not with {value!r}.")


def apply(op: str, *args: Any) -> Node:
    return node(op, *map(as_node, args))


def power(x: Any, y: Any) -> Node:
    """x ** y: a product for small whole y, sqrt for 1/2, else exp(y log x)."""
    x, y = as_node(x), as_node(y)
    if not y.is_constant:
        return x if x.is_constant and x.value == 1.0 else node("power", x, y)
    exponent = y.value
    if exponent == 0.5:
        return node("sqrt", x)
    if exponent == -0.5:
        return apply("div", 1.0, node("sqrt", x))
    if exponent != int(exponent) or abs(exponent) > LARGEST_POWER:
        return node("power", x, y)
    product: Node | None = None
    square, left = x, abs(int(exponent))
    while left:
        if left & 1:
            product = square if product is None else node("mul", product, square)
        left >>= 1
        if left:
            square = node("mul", square, square)
    if product is None:
        return constant(1.0)
    return apply("div", 1.0, product) if exponent < 0 else product


def maximum(a: Any, b: Any) -> Node:
    """The larger one; NaN in `a` stays, as the engine's formulas keep it."""
    a, b = as_node(a), as_node(b)
    return node("select", node("lt", a, b), b, a)


def minimum(a: Any, b: Any) -> Node:
    a, b = as_node(a), as_node(b)
    return node("select", node("gt", a, b), b, a)


def sign(x: Any) -> Node:
    x = as_node(x)
    zero = apply("mul", x, 0.0)
    return apply("select", apply("gt", x, 0.0), 1.0, apply("select", apply("lt", x, 0.0), -1.0, zero))


def clip(x: Any, low: Any = None, high: Any = None, **names: Any) -> Node:
    low, high = names.get("a_min", low), names.get("a_max", high)
    x = as_node(x)
    x = x if high is None else minimum(x, high)
    return x if low is None else maximum(x, low)


def logaddexp(a: Any, b: Any) -> Node:
    return apply("add", apply("softplus", apply("sub", a, b)), b)


def log1p(x: Any) -> Node:
    """log(1 + x), exact near 0: x log(u) / (u - 1) with u = 1 + x rounded (Higham 2002, section 1.14.1)."""
    x = as_node(x)
    u = apply("add", x, 1.0)
    rest = apply("sub", u, 1.0)
    is_small = apply("eq", rest, 0.0)
    safe = apply("select", is_small, 1.0, rest)
    return node("select", is_small, x, apply("div", apply("mul", x, apply("log", u)), safe))


def sinh(x: Any) -> Node:
    """sinh x = (t + t / (t + 1)) / 2 with t = e^x - 1, exact near 0."""
    t = apply("expm1", x)
    return apply("mul", 0.5, apply("add", t, apply("div", t, apply("add", t, 1.0))))


def cosh(x: Any) -> Node:
    e = apply("exp", apply("absolute", x))
    return apply("mul", 0.5, apply("add", e, apply("div", 1.0, e)))


def _sum(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    return _reduced("sum", x, axis)


def _mean(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    return apply("div", _reduced("sum", x, axis), variable(LENGTH))


def _max(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    return _reduced("max", x, axis)


def _min(x: Any, axis: Any = None, keepdims: bool = False) -> Node:
    return _reduced("min", x, axis)


def _reduced(op: str, x: Any, axis: Any) -> Node:
    x = as_node(x)
    if axis not in (None, 0, -1):
        raise FormulaError(f"a formula sees one row: axis={axis!r} must be left out.")
    if not x.is_row:
        raise FormulaError(f"np.{op} takes the outputs or targets of a row, not a single number.")
    return node(op, x)


def where(mask: Any, a: Any = None, b: Any = None) -> Node:
    if a is None or b is None:
        raise FormulaError("np.where needs three arguments here: np.where(z > 0, a, b).")
    return node("select", _mask(mask), as_node(a), as_node(b))


def _mask(value: Any) -> Node:
    if isinstance(value, Node) and value.is_mask:
        return value
    raise FormulaError("np.where wants a comparison as its first argument, such as z > 0.")


def _logic(op: str) -> Callable[..., Node]:
    return lambda *args: node(op, *map(_mask, args))


def _named(op: str) -> Callable[..., Node]:
    return lambda *args: apply(op, *args)


def _not_equal(a: Any, b: Any) -> Node:
    return node("not", apply("eq", a, b))


# NumPy's function -> what it is in a formula
CALLS: dict[Any, Callable[..., Node]] = {
    np.add: _named("add"),
    np.subtract: _named("sub"),
    np.multiply: _named("mul"),
    np.divide: _named("div"),
    np.negative: _named("neg"),
    np.positive: as_node,
    np.power: power,
    np.float_power: power,
    np.square: lambda x: apply("mul", x, x),
    np.reciprocal: lambda x: apply("div", 1.0, x),
    np.remainder: _named("mod"),
    np.floor: _named("floor"),
    np.rint: _named("rint"),
    np.sqrt: _named("sqrt"),
    np.absolute: _named("absolute"),
    np.fabs: _named("absolute"),
    np.sign: sign,
    np.exp: _named("exp"),
    np.exp2: lambda x: apply("exp", apply("mul", x, math.log(2))),
    np.expm1: _named("expm1"),
    np.log: _named("log"),
    np.log2: lambda x: apply("mul", apply("log", x), 1 / math.log(2)),
    np.log10: lambda x: apply("mul", apply("log", x), 1 / math.log(10)),
    np.log1p: log1p,
    np.logaddexp: logaddexp,
    np.sin: _named("sin"),
    np.cos: _named("cos"),
    np.tan: lambda x: apply("div", apply("sin", x), apply("cos", x)),
    np.tanh: _named("tanh"),
    np.sinh: sinh,
    np.cosh: cosh,
    np.maximum: maximum,
    np.fmax: maximum,
    np.minimum: minimum,
    np.fmin: minimum,
    np.less: _named("lt"),
    np.less_equal: _named("le"),
    np.greater: _named("gt"),
    np.greater_equal: _named("ge"),
    np.equal: _named("eq"),
    np.not_equal: _not_equal,
    np.logical_and: _logic("and"),
    np.logical_or: _logic("or"),
    np.logical_not: _logic("not"),
    np.where: where,
    np.clip: clip,
    np.sum: _sum,
    np.mean: _mean,
    np.max: _max,
    np.min: _min,
}
NAMES = sorted(f"np.{function.__name__}" for function in CALLS)


def _call(function: Any, args: tuple, kwargs: dict) -> Node:
    if function not in CALLS:
        raise FormulaError(
            f"np.{function.__name__} cannot be compiled; a formula may use {', '.join(NAMES)}."
        )
    try:
        return CALLS[function](*args, **kwargs)
    except TypeError as error:
        raise FormulaError(f"np.{function.__name__}: {error}; a formula passes it numbers only.") from None


def _binary(op: str) -> tuple[Callable, Callable]:
    return lambda a, b: apply(op, a, b), lambda a, b: apply(op, b, a)


class Traced(Node):
    """An expression with the operators of a number."""

    __slots__ = ()

    def __array_ufunc__(self, function, method, *args, **kwargs):
        if method != "__call__" or kwargs:
            return _call(getattr(np, "sum", None) if method == "reduce" else function, args, kwargs)
        return _call(function, args, kwargs)

    def __array_function__(self, function, kinds, args, kwargs):
        return _call(function, args, kwargs)

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("sub")
    __mul__, __rmul__ = _binary("mul")
    __truediv__, __rtruediv__ = _binary("div")
    __mod__, __rmod__ = _binary("mod")
    __lt__, __le__ = _binary("lt")[0], _binary("le")[0]
    __gt__, __ge__ = _binary("gt")[0], _binary("ge")[0]

    def __pow__(self, y):
        return power(self, y)

    def __rpow__(self, x):
        return power(x, self)

    def __neg__(self):
        return apply("neg", self)

    def __pos__(self):
        return self

    def __abs__(self):
        return apply("absolute", self)

    # Expressions are compared by identity in sets and dicts: `==` in a formula is np.equal.

    def __and__(self, other):
        return node("and", _mask(self), _mask(other))

    def __or__(self, other):
        return node("or", _mask(self), _mask(other))

    def __invert__(self):
        return node("not", _mask(self))

    def sum(self, axis=None):
        return _sum(self, axis)

    def mean(self, axis=None):
        return _mean(self, axis)

    def max(self, axis=None):
        return _max(self, axis)

    def min(self, axis=None):
        return _min(self, axis)

    def __bool__(self):
        raise FormulaError(
            "the value is not known when the formula is compiled: choose by np.where(z > 0, a, b) instead of "
            "`if`, by & and | instead of `and` and `or`, by np.maximum instead of max()."
        )

    def __float__(self):
        raise FormulaError(
            "a number was asked for: use NumPy's functions, such as np.exp, instead of math's."
        )

    __int__ = __index__ = __complex__ = __float__

    def __iter__(self):
        raise FormulaError(
            "a row has any number of outputs: use np.sum, np.max and operators instead of a loop."
        )

    __len__ = __getitem__ = __array__ = lambda self, *args, **kwargs: self.__iter__()
