"""Values as users give them: of Python's types, of NumPy's or of others, as numbers, as lists, as text."""

import math
from collections.abc import Mapping, Set
from numbers import Integral, Real
from typing import Any

import numpy as np

LONGEST_SHOWN = 200  # characters of a value in a message

# Python's own types, whose values engines take as they are.
PLAIN = frozenset((type(None), bool, int, float, str))


def shown(value: Any) -> str:
    """The value for a message: its repr if it has one, cut to a line."""
    try:
        text = repr(value)
    except Exception:  # of an integer of too many digits, or of a class of the user's
        return f"an object of type {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def as_float(value: Any) -> float | None:
    """A real number of whatever type as a float; None for anything else, and for what no float can hold."""
    if isinstance(value, np.timedelta64) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
        # NumPy's widest floats become infinite without an error
        return None if math.isinf(number) and number != value else number
    except Exception:  # an overflow, or an error of a class of the user's
        return None


def python_number(value: Any) -> Any:
    """A number of NumPy's or of another package as Python's own, of the same value; anything else as it is.

    Arithmetic with NumPy's narrow integers wraps around, and with its narrow floats it rounds.
    """
    if isinstance(value, np.bool_):
        return bool(value)
    if type(value) in PLAIN or isinstance(value, np.timedelta64):
        return value
    try:
        number = int(value) if isinstance(value, Integral) else as_float(value)
    except Exception:  # of a class of the user's
        return value
    return value if number is None else number


def plain_key(values: tuple) -> tuple | None:
    """What tells apart tuples of values that cannot change; None where one can."""
    types = tuple(map(type, values))
    others = set(types) - PLAIN
    if not others or (others == {tuple} and all(is_plain(value) for value in values if type(value) is tuple)):
        return types, values
    return None


def is_plain(value: Any) -> bool:
    """Whether a value can be remembered: it cannot change, and equality says all about it."""
    if type(value) is tuple:
        return all(type(size) is int for size in value)
    return type(value) in PLAIN


def listed(value: Any) -> list[Any] | None:
    """The elements of a sequence; None for what is none: text, mappings, sets, generators, tables."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping | Set):
        return None
    try:
        return list(value) if hasattr(value, "__len__") and getattr(value, "ndim", 1) == 1 else None
    except Exception:  # of a class of the user's
        return None
