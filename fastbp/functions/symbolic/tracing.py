"""Formulas recorded as expressions: those of the registries, and a user's own."""

from collections.abc import Callable
from functools import cache
from types import CellType, FunctionType, ModuleType
from typing import Any

from fastbp.functions import primitives, scalar
from fastbp.functions.symbolic.expression import FUNCTIONS, FormulaError, Node, node
from fastbp.functions.symbolic.numpy_calls import as_node

OWN = "fastbp.functions"  # the modules of formulas that are written with the primitives


def trace(function: Callable, *inputs: Node) -> tuple[Node, ...]:
    """Record a registered formula of numbers.

    Functions of ``fastbp.functions.scalar`` such as `exp` stay calls; what they are made of is not recorded.

    Parameters
    ----------
    function : callable
        Such as the `value` of an activation.
    *inputs : Node
        Its arguments, such as ``variable("z")``.

    Returns
    -------
    tuple of Node
        Its result, or its results.

    Raises
    ------
    FormulaError
        For a formula with a loop, as those of rows are.
    """
    return _results(symbolic(function)(*inputs))


def trace_own(function: Callable, *inputs: Node, name: str) -> tuple[Node, ...]:
    """Record a user's formula, which is written with NumPy's functions.

    Raises
    ------
    FormulaError
        If it cannot be compiled: names the formula, the line and the reason.
    """
    try:
        return _results(function(*inputs))
    except Exception as error:
        raise FormulaError(f"{name}{_line(function, error)}: {_reason(error)}") from error


def trace_own_number(function: Callable, *inputs: Node, name: str) -> Node:
    """Record a user's formula that returns one number, or one row; FormulaError for several."""
    results = trace_own(function, *inputs, name=name)
    if len(results) != 1:
        raise FormulaError(f"{name} returns {len(results)} values instead of one.")
    return results[0]


def _results(given: Any) -> tuple[Node, ...]:
    results = given if isinstance(given, tuple) else (given,)
    return tuple(map(as_node, results))


def _line(function: Callable, error: BaseException) -> str:
    """Where in the user's function an error came up."""
    code = getattr(function, "__code__", None)
    step = error.__traceback__
    line = None
    while step is not None:
        if step.tb_frame.f_code is code:
            line = step.tb_lineno
        step = step.tb_next
    return "" if line is None or code is None else f" (line {line} of {code.co_filename})"


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, FormulaError) else f"{type(error).__name__}: {error}"


@cache
def symbolic(function: Callable) -> Callable:
    """A copy of a registered formula that takes expressions: its primitives make nodes."""
    if not isinstance(function, FunctionType):
        raise TypeError(f"{function!r} is no plain function")
    if function.__module__ == primitives.__name__:
        return _primitive(function.__name__)
    if function.__module__ == scalar.__name__ and function.__name__ in FUNCTIONS:
        return _named(function.__name__)
    names = set(function.__code__.co_names)
    known = {name: value for name, value in function.__globals__.items() if name in names}
    around = {name: _translated(value, names) for name, value in known.items()}
    cells = tuple(CellType(_translated(cell.cell_contents, names)) for cell in function.__closure__ or ())
    return FunctionType(function.__code__, around, function.__name__, function.__defaults__, cells)


def _translated(value: Any, names: set[str]) -> Any:
    """The value of a global name or an enclosed variable of a formula in its copy."""
    if isinstance(value, FunctionType) and value.__module__.startswith(OWN):
        return symbolic(value)
    if isinstance(value, ModuleType) and value.__name__.startswith(OWN):
        module = ModuleType(value.__name__)
        for name in names & vars(value).keys():
            setattr(module, name, _translated(vars(value)[name], set()))
        return module
    return value


def _primitive(name: str) -> Callable:
    if name in ("get", "put"):
        raise FormulaError("a formula of rows is not recorded")
    if name == "single":
        raise FormulaError("a formula that depends on the dtype is not recorded")
    return _named(name)


def _named(name: str) -> Callable:
    return lambda *args: node(name, *map(as_node, args))
