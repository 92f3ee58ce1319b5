"""What an object is, bit by bit, as a value that can be compared."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse

from fastbp.plan.network import NetworkPlan


def bits(value: Any, _depth: int = 0) -> Any:
    """Nested tuples that are equal if and only if the values have the same types and the same bits.

    Random states are left out, since every use moves them, and so are plans, which are made from what else is
    there.
    """
    if _depth > 12:
        return type(value).__name__
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return "objects", value.shape, tuple(bits(one, _depth + 1) for one in value.ravel().tolist())
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, np.generic):
        return value.dtype.str, value.tobytes()
    if value is None or isinstance(value, str | bytes | int | bool):
        return type(value).__name__, value
    if isinstance(value, float | complex):
        return type(value).__name__, repr(value)
    if isinstance(value, np.random.RandomState | np.random.Generator | NetworkPlan):
        return type(value).__name__
    if sparse.issparse(value):
        parts = ("data", "indices", "indptr", "row", "col", "coords", "rows")
        return type(value).__name__, value.shape, *(bits(getattr(value, part, None)) for part in parts)
    if isinstance(value, pd.DataFrame | pd.Series | pl.DataFrame | pl.Series):
        return type(value).__name__, bits(np.asarray(value), _depth + 1), str(getattr(value, "columns", ""))
    if isinstance(value, dict):
        return "dict", tuple((repr(name), bits(one, _depth + 1)) for name, one in value.items())
    if isinstance(value, list | tuple | set):
        return type(value).__name__, tuple(bits(one, _depth + 1) for one in value)
    if dataclasses.is_dataclass(value) or type(value).__module__.startswith("fastbp"):
        own = getattr(value, "__dict__", {})
        return type(value).__name__, tuple((name, bits(one, _depth + 1)) for name, one in own.items())
    return type(value).__name__


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names that came, went or have other bits."""
    names = dict.fromkeys([*before, *after])
    return [name for name in names if before.get(name, "absent") != after.get(name, "absent")]


def arrays(value: Any, _depth: int = 0) -> list[np.ndarray]:
    """All arrays within an object."""
    if isinstance(value, np.ndarray):
        return [value]
    if sparse.issparse(value):
        return arrays([getattr(value, part, None) for part in ("data", "indices", "indptr", "row", "col")])
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [array for one in value for array in arrays(one, _depth + 1)] if _depth < 8 else []
    if isinstance(value, NetworkPlan) or _depth > 8:
        return []
    if type(value).__module__.startswith("fastbp"):
        return arrays(getattr(value, "__dict__", {}), _depth + 1)
    return []
