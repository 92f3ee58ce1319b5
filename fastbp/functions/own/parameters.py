"""Parameters of a user's own losses, solvers and schedules: tuned without another compilation."""

from collections.abc import Mapping
from typing import Any

from fastbp.functions.parameters import Parameter
from fastbp.functions.symbolic.expression import Node, variable
from fastbp.functions.values import as_float, listed, shown

INFINITY = float("inf")


def checked_parameters(params: Any, largest: int, argument: str) -> list[list[Any]]:
    """Return name, default, low and high of each parameter, or raise ValueError.

    Parameters
    ----------
    params : mapping or None
        ``{name: default}`` or ``{name: (default, low, high)}``.
    largest : int
        The number of parameters that there may be.
    argument : str
        That sets them in an estimator: "loss_params".
    """
    if params is None:
        return []
    if not isinstance(params, Mapping):
        raise ValueError(f"params must be a dict {{name: default}} or None, got {shown(params)}.")
    if len(params) > largest:
        raise ValueError(f"params has {len(params)} names, and there may be {largest} at most.")
    found: list[list[Any]] = []
    for name, given in params.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"params: a name must be that of a variable, got {shown(name)}.")
        numbers = [as_float(number) for number in (listed(given) or [given])]
        if None in numbers or len(numbers) not in (1, 3):
            raise ValueError(
                f"params: {name} must have a number, its default, or (default, lowest, highest), got "
                f"{shown(given)}; {argument} sets it."
            )
        default, low, high = numbers if len(numbers) == 3 else (numbers[0], -INFINITY, INFINITY)
        one = [name, default, low, high]
        if _parameter(one).number(default) is None:
            raise ValueError(f"params: the default of {name} is not within its range, got {shown(given)}.")
        found.append(one)
    return found


def _parameter(plain: list[Any]) -> Parameter:
    name, default, low, high = plain
    numbers = float(default), float(low), float(high)
    return Parameter(str(name), *numbers, open=low == -INFINITY, closed=high < INFINITY)


def parameters_of(plain: list[list[Any]]) -> tuple[Parameter, ...]:
    return tuple(map(_parameter, plain))


def inputs_of(plain: list[list[Any]]) -> list[Node]:
    """The inputs of a formula that its parameters are."""
    return [variable(f"param_{one[0]}") for one in plain]


def places_of(plain: list[list[Any]], array: str, first: int = 0) -> dict[str, str]:
    """What these inputs are called where an array holds the parameters."""
    return {f"param_{one[0]}": f"{array}[{first + i}]" for i, one in enumerate(plain)}


def defaults_of(plain: list[list[Any]]) -> dict[str, float]:
    """Their values for checks."""
    return {f"param_{one[0]}": one[1] for one in plain}
