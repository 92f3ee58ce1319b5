"""Conversion of user values of Python, NumPy or other types to numbers, lists and text."""

import math
from collections.abc import Mapping, Set
from numbers import Integral, Real
from typing import Any

import numpy as np

LONGEST_SHOWN = 200  # characters of a value in a message

# Python types whose values engines accept unchanged.
PLAIN = frozenset((type(None), bool, int, float, str))


def shown(value: Any) -> str:
    """Return the value for a message: its repr if it has one, cut to a line."""
    try:
        text = repr(value)
    except Exception:  # raised by an integer of too many digits, or by a user's class
        return f"an object of type {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def as_float(value: Any) -> float | None:
    """Convert a real number of any type to a float; None for anything else, or if it is too large."""
    if isinstance(value, np.timedelta64) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
        # NumPy's widest floats become infinite without an error
        return None if math.isinf(number) and number != value else number
    except Exception:  # an overflow, or an error raised by a user's class
        return None


def python_number(value: Any) -> Any:
    """Convert a number of NumPy or another package to Python's type; anything else is unchanged.

    Arithmetic with NumPy's narrow integers wraps around, and with its narrow floats it rounds.
    """
    if isinstance(value, np.bool_):
        return bool(value)
    if type(value) in PLAIN or isinstance(value, np.timedelta64):
        return value
    try:
        number = int(value) if isinstance(value, Integral) else as_float(value)
    except Exception:  # raised by a user's class
        return value
    return value if number is None else number


def plain_key(values: tuple) -> tuple | None:
    """Return a key for a tuple of immutable values; None if one is mutable."""
    types = tuple(map(type, values))
    others = {kind for kind in set(types) - PLAIN if not issubclass(kind, str)}
    if not others or (others == {tuple} and all(is_plain(value) for value in values if type(value) is tuple)):
        return types, values
    return None


def is_plain(value: Any) -> bool:
    """Return whether a value can be cached: it is immutable, and equal values are interchangeable."""
    if type(value) is tuple:
        return all(type(size) is int for size in value)
    return type(value) in PLAIN


def listed(value: Any) -> list[Any] | None:
    """Return the elements of a sequence; None for anything else: text, mappings, sets, generators, tables."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping | Set):
        return None
    try:
        return list(value) if hasattr(value, "__len__") and getattr(value, "ndim", 1) == 1 else None
    except Exception:  # raised by a user's class
        return None
