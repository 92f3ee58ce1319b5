"""Parameters of registered functions that are numbers: their names, defaults and ranges."""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

LONGEST_SHOWN = 200  # characters of a value in a message


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


def listed(value: Any) -> list[Any] | None:
    """The elements of a sequence; None for what is none: text, mappings, sets, generators, tables."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping | Set):
        return None
    try:
        return list(value) if hasattr(value, "__len__") and getattr(value, "ndim", 1) == 1 else None
    except Exception:  # of a class of the user's
        return None


@dataclass(frozen=True)
class Parameter:
    """A number, or where `several` an increasing list of them, in [low, high); (low, high) where `open`."""

    name: str
    default: float
    low: float
    high: float
    open: bool = False
    several: bool = False

    @property
    def domain(self) -> str:
        """The range in words."""
        interval = f"{'(' if self.open else '['}{self.low:g}, {self.high:g})"
        return f"a number in {interval}{', or a list of such' if self.several else ''}"

    def number(self, value: Any) -> float | None:
        """The value as a float if it is a number of the range, else None."""
        number = None if isinstance(value, bool) else as_float(value)
        if number is None or not (self.low < number < self.high or (not self.open and number == self.low)):
            return None
        return number

    def numbers(self, value: Any) -> list[float] | None:
        """The number, or numbers where `several`, of a value; None where one is none of the range."""
        elements = (listed(value) or [value]) if self.several else [value]
        numbers = [number for number in map(self.number, elements) if number is not None]
        return numbers if len(numbers) == len(elements) else None


def resolve(
    parameters: Sequence[Parameter], given: Mapping[str, Any], argument: str, owner: str
) -> tuple[float, ...]:
    """The values of all `parameters` in a row, the default where `given` has none.

    Parameters
    ----------
    argument, owner : str
        For messages: the estimators' parameter that holds `given`, and what it belongs to ("loss='huber'").

    Raises
    ------
    ValueError
        For an unknown name or a value out of its range; it names `argument`.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"{argument} must be a dict or None, got {shown(given)}.")
    known = [parameter.name for parameter in parameters]
    for name in given:
        if not isinstance(name, str) or name not in known:
            raise ValueError(
                f"{argument} has {shown(name)}, but {owner} has "
                f"{f'the parameters {known}' if known else 'no parameters of its own'}."
            )
    values: list[float] = []
    for parameter in parameters:
        value = given.get(parameter.name, parameter.default)
        numbers = parameter.numbers(value)
        if numbers is None:
            raise ValueError(
                f"{argument}: {parameter.name} of {owner} must be {parameter.domain}, got {shown(value)}."
            )
        if any(b <= a for a, b in pairwise(numbers)):
            raise ValueError(
                f"{argument}: the numbers of {parameter.name} must increase, got {shown(value)}."
            )
        values += numbers
    return tuple(values)
