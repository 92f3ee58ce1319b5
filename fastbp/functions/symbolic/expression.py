"""Expressions: formulas as graphs of operations on numbers, and on rows of numbers.

A formula is recorded by calling it with expressions in place of numbers (``tracing``). Equal expressions are
one object, so that a part which a formula has twice is computed once.

A row stands for the outputs or targets of one row of the batch, of any length; an operation of a row and a
number is one of a row. Reductions make a number of a row.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

# Operations with the number of their arguments. LEAVES have a value instead.
LEAVES = ("constant", "input")
COMPARISONS = ("lt", "le", "gt", "ge", "eq")
LOGIC = {"and": 2, "or": 2, "not": 1}
ARITHMETIC = {"add": 2, "sub": 2, "mul": 2, "div": 2, "neg": 1, "fma": 3}
PRIMITIVES = {"select": 3, "sqrt": 1, "absolute": 1, "rint": 1}
# Functions of ``fastbp.functions.scalar`` by their names there.
FUNCTIONS = {
    "exp": 1,
    "expm1": 1,
    "log": 1,
    "tanh": 1,
    "logistic": 1,
    "softplus": 1,
    "log1p_exp_neg": 1,
    "normal_cdf": 1,
    "normal_density": 1,
    "sin": 1,
    "cos": 1,
}
POWER = {"power": 2}
SCALAR_ONLY = {"floor": 1, "mod": 2}  # of schedules and coefficients, not of vector registers
REDUCTIONS = {"sum": 1, "max": 1, "min": 1}
MOST_SHOWN = 200  # operations of an expression as text
LENGTH = "n"  # the input that is the number of outputs of a row

ARITIES = {
    **dict.fromkeys(COMPARISONS, 2),
    **LOGIC,
    **ARITHMETIC,
    **PRIMITIVES,
    **FUNCTIONS,
    **POWER,
    **SCALAR_ONLY,
    **REDUCTIONS,
}
# Of constants these are computed at once: the compiled loops see no operation of two constants.
FOLDED: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "fma": lambda a, b, c: a * b + c,
    "absolute": abs,
    "mod": operator.mod,
    "power": operator.pow,
}


class FormulaError(ValueError):
    """A formula does something that cannot be compiled; the message says what to write instead."""


class Node:
    """One operation of a formula; immutable.

    Attributes
    ----------
    op : str
        A key of `ARITIES`, "constant" or "input".
    args : tuple of Node
    value : float or str or None
        Of a constant; the name of an input.
    is_row : bool
    """

    __slots__ = ("__weakref__", "args", "is_row", "op", "serial", "value")

    op: str
    args: tuple["Node", ...]
    value: Any
    is_row: bool
    serial: int

    # NumPy's functions leave operations with expressions to them (``numpy_calls``).
    __array_priority__ = 1000

    @property
    def is_mask(self) -> bool:
        """True for the result of a comparison."""
        return self.op in COMPARISONS or self.op in LOGIC

    @property
    def is_constant(self) -> bool:
        return self.op == "constant"

    def __repr__(self) -> str:
        if _has_more_than(self, MOST_SHOWN):
            return f"<formula whose last operation is {self.op}>"
        if self.op in LEAVES:
            return str(self.value)
        return f"{self.op}({', '.join(map(repr, self.args))})"

    def __reduce__(self):
        return from_list, (to_list([self]), 0)


def _has_more_than(one: Node, n: int) -> bool:
    """Return whether an expression, written out without shared parts, has more than n operations."""
    stack = [one]
    while stack and n >= 0:
        stack.extend(stack.pop().args)
        n -= 1
    return bool(stack)


_known: "WeakValueDictionary[tuple, Node]" = WeakValueDictionary()
_serials = count()


def _made(op: str, args: tuple[Node, ...] = (), value: Any = None, is_row: bool = False) -> Node:
    """Return the one node with these contents."""
    # 0.0 equals -0.0, and True equals 1.0
    key = op, tuple(arg.serial for arg in args), repr(value), is_row
    node = _known.get(key)
    if node is None:
        node = _kind()()
        node.op, node.args, node.value, node.is_row, node.serial = op, args, value, is_row, next(_serials)
        _known[key] = node
    return node


def _kind() -> type[Node]:
    from fastbp.functions.symbolic.numpy_calls import Traced  # its operators are made of the functions here

    return Traced


def constant(value: float) -> Node:
    return _made("constant", value=float(value))


def variable(name: str, *, row: bool = False) -> Node:
    """An input of the formula."""
    return _made("input", value=name, is_row=row)


def node(op: str, *args: Node) -> Node:
    """An operation; masks are used by `select` alone, and operations on constants are left as they are."""
    if len(args) != ARITIES[op]:
        raise ValueError(f"{op} takes {ARITIES[op]} arguments, not {len(args)}")
    for position, arg in enumerate(args):
        wants_mask = op in LOGIC or (op == "select" and position == 0)
        if arg.is_mask != wants_mask:
            raise FormulaError(
                "np.where wants a comparison as its first argument, such as z > 0."
                if wants_mask
                else "a comparison is not a number here: choose between two numbers by np.where(z > 0, a, b)."
            )
    if all(arg.is_constant for arg in args) and op in FOLDED:
        try:
            return constant(FOLDED[op](*(arg.value for arg in args)))
        except ArithmeticError:
            raise FormulaError(f"{op} of the constants {[arg.value for arg in args]} is no number.") from None
    if op == "select":
        return _select(*args)
    simpler = _simplified(op, *args)
    if simpler is not None:
        return simpler
    is_row = op not in REDUCTIONS and any(arg.is_row for arg in args)
    return _made(op, args, is_row=is_row)


def _simplified(op: str, *args: Node) -> Node | None:
    """The same in fewer operations, as derivatives by the chain rule need it; None if there is no such form.

    A number that is chosen to be 0 stays 0 beside an infinity.
    """
    if op == "neg" and args[0].op == "neg":
        return args[0].args[0]
    if op == "neg" and _is_choice_of_constants(args[0]):
        mask, a, b = args[0].args
        return _select(mask, node("neg", a), node("neg", b))
    if op in ("sub", "add") and _is(args[1], 0.0):
        return args[0]
    if op in ("mul", "add"):
        return _simplified_product(*args) if op == "mul" else _simplified_sum(*args)
    return None


def _simplified_product(x: Node, y: Node) -> Node | None:
    for a, b in ((x, y), (y, x)):
        if _is(a, 1.0):
            return b
        if _is(a, -1.0):
            return node("neg", b)
        if _is_choice_of_constants(a) and {abs(c.value) for c in a.args[1:]} <= {0.0, 1.0}:
            ones = [b if c.value == 1.0 else node("neg", b) if c.value == -1.0 else c for c in a.args[1:]]
            return _select(a.args[0], *ones)
    return None


def _simplified_sum(x: Node, y: Node) -> Node | None:
    if _is(x, 0.0):
        return y
    if x.op == y.op == "select" and x.args[0] is y.args[0]:
        mask, a, b = x.args
        _, c, d = y.args
        if (_is(a, 0.0) or _is(c, 0.0)) and (_is(b, 0.0) or _is(d, 0.0)):
            return _select(mask, node("add", a, c), node("add", b, d))
    return None


def _is(one: Node, value: float) -> bool:
    return one.is_constant and one.value == value


def _is_choice_of_constants(one: Node) -> bool:
    return one.op == "select" and one.args[1].is_constant and one.args[2].is_constant


def _select(mask: Node, a: Node, b: Node) -> Node:
    """A choice by a comparison; those by `and`, `or` and `not` become choices in choices."""
    if mask.op == "not":
        return _select(mask.args[0], b, a)
    if mask.op == "and":
        return _select(mask.args[0], _select(mask.args[1], a, b), b)
    if mask.op == "or":
        return _select(mask.args[0], a, _select(mask.args[1], a, b))
    if a is b:
        return a
    if all(arg.is_constant for arg in mask.args):
        return a if getattr(operator, mask.op)(*(arg.value for arg in mask.args)) else b
    return _made("select", (mask, a, b), is_row=mask.is_row or a.is_row or b.is_row)


def in_order(results: Iterable[Node]) -> list[Node]:
    """All nodes that the results need, each once, after its arguments."""
    order: dict[Node, None] = {}
    stack = [(result, False) for result in reversed(list(results))]
    while stack:
        this, is_ready = stack.pop()
        if this in order:
            continue
        if is_ready:
            order[this] = None
        else:
            stack.append((this, True))
            stack.extend((arg, False) for arg in reversed(this.args) if arg not in order)
    return list(order)


def to_list(results: Sequence[Node]) -> list[list]:
    """Plain lists that `from_list` makes the same expressions of: operations, then the results' numbers."""
    order = in_order(results)
    number = {one: i for i, one in enumerate(order)}
    rows: list[list] = []
    for one in order:
        if one.op in LEAVES:
            rows.append([one.op, one.value, one.is_row])
        else:
            rows.append([one.op, *(number[arg] for arg in one.args)])
    return [*rows, [number[result] for result in results]]


def from_list(rows: Sequence[Sequence], which: int | None = None) -> Any:
    """Return the expressions of `to_list`, or the one of them that is number `which`.

    Raises
    ------
    ValueError
        If the lists are no expressions.
    """
    made: list[Node] = []
    for op, *rest in rows[:-1]:
        if op == "constant":
            made.append(constant(rest[0]))
        elif op == "input":
            made.append(variable(str(rest[0]), row=bool(rest[1])))
        elif op in ARITIES and all(type(i) is int and 0 <= i < len(made) for i in rest):
            made.append(node(op, *(made[i] for i in rest)))
        else:
            raise ValueError(f"{op!r} of {rest} is no operation of a formula")
    results = [made[i] for i in rows[-1]]
    return results if which is None else results[which]
