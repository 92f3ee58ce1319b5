"""Expressions: formulas as graphs of operations on numbers, and on rows of numbers.

A formula is recorded by calling it with expressions in place of numbers (``tracing``). Equal expressions are
one object, so that a part which a formula has twice is computed once.

A row stands for the outputs or targets of one row of the batch, of any length; an operation of a row and a
number is one of a row. Reductions make a number of a row.
"""

from collections.abc import Iterable, Sequence
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
SCALAR_ONLY = {"floor": 1, "power": 2, "mod": 2}  # of schedules and coefficients, not of vector registers
REDUCTIONS = {"sum": 1, "max": 1, "min": 1}
LENGTH = "n"  # the input that is the number of outputs of a row

ARITIES = {
    **dict.fromkeys(COMPARISONS, 2),
    **LOGIC,
    **ARITHMETIC,
    **PRIMITIVES,
    **FUNCTIONS,
    **SCALAR_ONLY,
    **REDUCTIONS,
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
        if self.op in LEAVES:
            return str(self.value)
        return f"{self.op}({', '.join(map(repr, self.args))})"

    def __reduce__(self):
        return from_list, (to_list([self]), 0)


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
    if op == "select":
        return _select(*args)
    if op == "neg" and args[0].op == "constant":
        return constant(-args[0].value)
    is_row = op not in REDUCTIONS and any(arg.is_row for arg in args)
    return _made(op, args, is_row=is_row)


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
