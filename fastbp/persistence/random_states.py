"""States of NumPy's random number generators in files."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp.functions.values import shown

BIT_GENERATORS: dict[str, Callable[..., np.random.BitGenerator]] = {
    "MT19937": np.random.MT19937,
    "PCG64": np.random.PCG64,
    "PCG64DXSM": np.random.PCG64DXSM,
    "Philox": np.random.Philox,
    "SFC64": np.random.SFC64,
}
# Largest positions in a buffer, at which NumPy reads without checking its length.
LAST_POSITIONS = {"pos": 624, "buffer_pos": 4, "has_gauss": 1, "has_uint32": 1, "uinteger": 2**32 - 1}


def new_random_state(state: dict[str, Any]) -> np.random.RandomState:
    """Return a random state with the given state."""
    generator = np.random.RandomState(BIT_GENERATORS[state["bit_generator"]](0))
    generator.set_state(state)
    return generator


def checked_random_state(given: Any) -> np.random.RandomState:
    """Return the random state of a file; ValueError unless it has NumPy's form and NumPy keeps its values."""
    _need(isinstance(given, dict), "random_state is no dictionary")
    name = given.get("bit_generator")
    _need(isinstance(name, str), "its bit generator is no text")
    _need(name in BIT_GENERATORS, f"its bit generator is {shown(name)}, not one of {list(BIT_GENERATORS)}")
    _check_like(given, np.random.RandomState(BIT_GENERATORS[name](0)).get_state(legacy=False), "random_state")
    random_state = new_random_state(given)
    taken = random_state.get_state(legacy=False)
    _need(same_state(taken, given), "random_state is not one that NumPy can take")
    return random_state


def same_state(first: Any, second: Any) -> bool:
    """Return whether two nested containers of plain values and arrays are equal."""
    return _text(first) == _text(second)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=lambda array: array.tolist())


def _check_like(given: Any, example: Any, name: str) -> None:
    if isinstance(example, dict):
        _need(isinstance(given, dict) and given.keys() == example.keys(), f"{name} has other names")
        for key, part in example.items():
            _check_like(given[key], part, key)
    elif isinstance(example, np.ndarray):
        is_alike = isinstance(given, np.ndarray) and (given.dtype, given.shape) == (
            example.dtype,
            example.shape,
        )
        _need(is_alike, f"{name} is no array like NumPy's")
    elif isinstance(example, str):
        _need(isinstance(given, str), f"{name} is no text")
    elif isinstance(example, float):
        is_number = type(given) is float or (type(given) is int and abs(given) < 2**63)
        _need(is_number and bool(np.isfinite(given)), f"{name} is no finite number")
    else:
        largest = LAST_POSITIONS.get(name, 2**128 - 1)
        _need(type(given) is int and 0 <= given <= largest, f"{name} is no count up to {largest}")


def _need(condition: bool, fault: str) -> None:
    if not condition:
        raise ValueError(fault)
