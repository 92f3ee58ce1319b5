"""Parameters of registered functions that are numbers: their names, defaults and ranges."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np


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

    def holds(self, number: Any) -> bool:
        """Whether `number` is a number of the range."""
        if isinstance(number, bool | np.bool_) or not isinstance(number, int | float | np.number):
            return False
        return bool(self.low < number < self.high or (not self.open and number == self.low))


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
        raise ValueError(f"{argument} must be a dict or None, got {given!r}.")
    known = [parameter.name for parameter in parameters]
    for name in given:
        if name not in known:
            raise ValueError(
                f"{argument} has {name!r}, but {owner} has "
                f"{f'the parameters {known}' if known else 'no parameters of its own'}."
            )
    values: list[float] = []
    for parameter in parameters:
        value = given.get(parameter.name, parameter.default)
        numbers = _listed(value) if parameter.several else [value]
        if not all(parameter.holds(number) for number in numbers):
            raise ValueError(
                f"{argument}: {parameter.name} of {owner} must be {parameter.domain}, got {value!r}."
            )
        if any(b <= a for a, b in pairwise(numbers)):
            raise ValueError(f"{argument}: the numbers of {parameter.name} must increase, got {value!r}.")
        values += [float(number) for number in numbers]
    return tuple(values)


def _listed(value: Any) -> list[Any]:
    """The elements of a sequence, or the value alone where it is none; empty is none."""
    if isinstance(value, str | bytes | Mapping | Set) or not hasattr(value, "__iter__"):
        return [value]
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return [value]
    return list(value) or [value]
