"""Kinds of data: real numbers are accepted; dates, strings and the like are refused by name.

NumPy would silently convert them: a date to a count of its unit, NaT to -9.2e18, the string "1e3" to 1000.
Object arrays are checked element by element; lists become arrays first.
"""

import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse

from fastbp.engines.select import on_gpu

REAL = "biuf"
LACKING = {
    "M": "are dates and times: pass numbers, such as the days since a date",
    "m": "are durations: pass numbers, such as values / np.timedelta64(1, 'D')",
    "U": "are strings, which fastbp could not convert without guessing: convert them by astype(float)",
    "S": "are bytes: convert them by astype(float)",
    "c": "are complex. Complex data not supported",
    "V": "are records: pass an array with a column for each field",
}
DATES, DURATIONS = (datetime.date, datetime.time), datetime.timedelta


def real_numbers(values: Any, name: str) -> Any:
    """Return `values` unchanged, except lists and tuples as arrays.

    Parameters
    ----------
    values : array-like, sparse matrix, data frame, array on a GPU, scalar or None
    name : str
        Name of the parameter, for messages.

    Raises
    ------
    ValueError, TypeError
        If they hold anything except real numbers.
    """
    if type(values) is np.ndarray and values.dtype.kind in REAL:
        return values
    if isinstance(values, list | tuple):
        try:
            values = np.asarray(values)
        except ValueError as error:
            raise ValueError(f"{name} must hold real numbers, in rows of the same length: {error}") from error
    if values is not None and not on_gpu(values):  # its engine checks dtypes
        for part, where in _parts(values):
            _refuse(part, name, where)
    return values


def labels(y: Any) -> Any:
    """Return `y` unchanged, or raise ValueError for kinds of arrays that cannot be class labels."""
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    if kind in ("V", "c"):
        raise ValueError(f"y holds no labels: its values {LACKING[kind]}.")
    return y


def _parts(values: Any) -> Iterator[tuple[Any, str]]:
    """Yield parts of one dtype each: the whole, or the columns of a data frame that are not numeric."""
    if not (hasattr(values, "columns") and hasattr(values, "dtypes")):
        yield values, ""
        return
    for number, (column, dtype) in enumerate(zip(values.columns, values.dtypes, strict=True)):
        if not _is_real(dtype):
            yield (
                values.iloc[:, number] if hasattr(values, "iloc") else values[column],
                f" in column {column!r}",
            )


def _is_real(dtype: Any) -> bool:
    """Return whether a dtype of NumPy, pandas or Polars is one of real numbers."""
    if hasattr(dtype, "categories"):
        return False
    kind = getattr(dtype, "kind", None)
    if kind is None and hasattr(dtype, "is_numeric"):
        return bool(dtype.is_numeric())
    return isinstance(kind, str) and kind in REAL


def _refuse(values: Any, name: str, where: str) -> None:
    """Raise ValueError or TypeError if an array or a column holds anything except real numbers."""
    dtype: Any = getattr(values, "dtype", None)
    if _is_real(dtype):
        return
    if scipy.sparse.issparse(values):
        values = np.hstack(values.data) if values.format == "lil" else values
        values = values.data if isinstance(getattr(values, "data", None), np.ndarray) else values
    elif not isinstance(values, np.ndarray):
        # the kind of a categorical column of pandas is that of its categories
        values = np.asarray(dtype.categories if hasattr(dtype, "ordered") else values)
    kind, dtype = values.dtype.kind, values.dtype
    if kind in REAL:
        return
    if kind == "O":
        kind, dtype = _kind_of_objects(values, name, where), "object"
    if kind:
        lacking = LACKING.get(kind, LACKING["U"])  # "T" is a kind of strings, too
        raise ValueError(f"{name} must hold real numbers, but its values{where} {lacking} (dtype {dtype}).")


def _kind_of_objects(values: np.ndarray, name: str, where: str) -> str:
    """Return the kind of refused elements, "" if there are none; TypeError for unknown types."""
    for element in set(map(type, values.ravel().tolist())):
        if issubclass(element, str):
            return "U"
        if issubclass(element, bytes | bytearray):
            return "S"
        if issubclass(element, complex | np.complexfloating):
            return "c"
        if issubclass(element, np.generic) and np.dtype(element).kind not in REAL:
            return np.dtype(element).kind
        if issubclass(element, DATES):
            return "M"
        if issubclass(element, DURATIONS):
            return "m"
        numeric = hasattr(element, "__float__") or hasattr(element, "__index__")
        if element is not type(None) and (not numeric or hasattr(element, "__len__")):
            raise TypeError(
                f"{name} must hold real numbers, but has other elements{where}: float() argument must be a "
                f"string or a real number, not {element.__name__!r}."
            )
    return ""
