"""Checks of the descriptions of own formulas: they become source, so every name in them must be known."""

import keyword
import re
from typing import Any

from fastbp.functions.symbolic.expression import ARITIES, LENGTH, REDUCTIONS
from fastbp.functions.values import shown

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
MOST_OPERATIONS = 100_000
STATES = ("s", "t", "u")
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Keys of the description of each kind; expressions with the inputs that they may have.
KINDS: dict[str, dict[str, Any]] = {
    "Activation": {"formulas": ("z", "a"), "others": {"of"}},
    "Loss": {"formulas": (LENGTH,), "others": {"params", "merged_with", "tasks", "targets"}},
    "Solver": {
        "update": ("w", "g", *STATES, *(f"c_{i}" for i in range(10))),
        "coefficients": ("rate", "step"),
        "others": {"params", "n_states"},
    },
    "Schedule": {"factor": ("x", "epoch"), "others": {"params"}},
}
ROWS = ("f", "y")  # inputs of a loss


def check_formula(kind: str, plain: Any) -> None:
    """Raise ValueError unless a description of a formula has the form of `to_plain`.

    Parameters
    ----------
    kind : str
        "Activation", "Loss", "Solver" or "Schedule".
    """
    try:
        _check(kind, plain)
    except (TypeError, IndexError) as error:  # of values where lists should be
        raise ValueError(f"this is no description of a {kind}: {error}") from error


def _check(kind: str, plain: Any) -> None:
    known = KINDS[kind]
    others = known["others"]
    expressions = known.keys() - {"others"}
    if not isinstance(plain, dict) or plain.keys() != {"name", *others, *expressions}:
        raise ValueError(f"the description of a {kind} has other keys")
    if not isinstance(plain["name"], str) or not NAME.fullmatch(plain["name"]):
        raise ValueError(f"{shown(plain['name'])} is no name of a {kind}")
    parameters = _parameters(plain.get("params", []))
    for name in expressions:
        _check_expressions(plain[name], {*known[name], *parameters}, of_rows=kind == "Loss")
    if "of" in others and plain["of"] not in ("input", "output"):
        raise ValueError("a derivative is of 'input' or 'output'")
    if "n_states" in others and plain["n_states"] not in range(len(STATES) + 1):
        raise ValueError(f"{shown(plain['n_states'])} is no number of states")
    texts = [plain.get("merged_with"), plain.get("targets"), *plain.get("tasks", [])]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise ValueError(f"the description of a {kind} has other values")


def _parameters(given: Any) -> set[str]:
    """Return what inputs are called that are parameters."""
    if not isinstance(given, list):
        raise ValueError("the parameters of a formula are no list")
    for one in given:
        name, *numbers = one
        is_name = isinstance(name, str) and PARAMETER.fullmatch(name) and not keyword.iskeyword(name)
        if not is_name or len(numbers) != 3 or not all(map(_is_number, numbers)):
            raise ValueError(f"{shown(one)} is no parameter of a formula")
    return {f"param_{one[0]}" for one in given}


def _check_expressions(rows: Any, inputs: set[str], of_rows: bool) -> None:
    """Check the lists of `expression.to_list`."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        raise ValueError("a formula is no list of operations")
    n = 0
    for op, *rest in rows[:-1]:
        if op == "constant":
            fits = len(rest) == 2 and _is_number(rest[0]) and rest[1] is False
        elif op == "input":
            name, is_row = rest
            of_this_kind = ROWS if is_row is True and of_rows else inputs if is_row is False else ()
            fits = isinstance(name, str) and name in of_this_kind
        else:
            fits = isinstance(op, str) and op in ARITIES and len(rest) == ARITIES[op]
            fits = fits and (of_rows or op not in REDUCTIONS)
            fits = fits and all(type(i) is int and 0 <= i < n for i in rest)
        if not fits or n >= MOST_OPERATIONS:
            raise ValueError(f"{shown([op, *rest])} is no operation of a formula")
        n += 1
    if not all(type(i) is int and 0 <= i < n for i in rows[-1]):
        raise ValueError("a formula has no results")


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**63)
