"""Numeric parameters of registered functions: names, defaults and ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fastbp.functions.values import as_float, listed, shown


@dataclass(frozen=True)
class Parameter:
    """A number, or an increasing list of them if `several`.

    In [low, high), in (low, high) if `open`, in [low, high] if `closed`.
    """

    name: str
    default: float
    low: float
    high: float
    open: bool = False
    several: bool = False
    closed: bool = False

    @property
    def domain(self) -> str:
        """Range, in words."""
        interval = f"{'(' if self.open else '['}{self.low:g}, {self.high:g}{']' if self.closed else ')'}"
        return f"a number in {interval}{', or a list of such' if self.several else ''}"

    def number(self, value: Any) -> float | None:
        """Return the value as a float if it is a number in the range, else None."""
        number = None if isinstance(value, bool) else as_float(value)
        if number is None:
            return None
        at_end = (number == self.low and not self.open) or (number == self.high and self.closed)
        return number if at_end or self.low < number < self.high else None

    def numbers(self, value: Any) -> list[float] | None:
        """Return the number of a value, or numbers if `several`; None if one is not in the range."""
        elements = (listed(value) or [value]) if self.several else [value]
        numbers = [number for number in map(self.number, elements) if number is not None]
        return numbers if len(numbers) == len(elements) else None


def resolve(
    parameters: Sequence[Parameter], given: Mapping[str, Any], argument: str, owner: str
) -> tuple[float, ...]:
    """Return the values of all `parameters`, with defaults for those not in `given`.

    Parameters
    ----------
    argument, owner : str
        For messages: the estimators' parameter that holds `given`, and what it belongs to ("loss='huber'").

    Raises
    ------
    ValueError
        For an unknown name or a value out of range; names `argument`.
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
