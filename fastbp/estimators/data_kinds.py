"""Kinds of data: what holds real numbers is let through, dates, strings and the like are refused by name.

NumPy would make numbers of them without a word: of a date the count of its own unit, of NaT -9.2e18, of the
string "1e3" 1000. Object arrays are looked at element by element; lists become arrays first.
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
    """`values` as they are, but lists and tuples as arrays.

    Parameters
    ----------
    values : array-like, sparse matrix, data frame, array on a GPU, scalar or None
    name : str
        Of the parameter, for messages.

    Raises
    ------
    ValueError, TypeError
        Where they hold anything but real numbers.
    """
    if type(values) is np.ndarray and values.dtype.kind in REAL:
        return values
    if isinstance(values, list | tuple):
        try:
            values = np.asarray(values)
        except ValueError as error:
            raise ValueError(f"{name} must hold real numbers, in rows of the same length: {error}") from error
    if values is not None and not on_gpu(values):  # whose dtypes its engine looks at
        for part, where in _parts(values):
            _refuse(part, name, where)
    return values


def labels(y: Any) -> Any:
    """`y` as it is, or ValueError for the kinds of array that cannot be class labels."""
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    if kind in ("V", "c"):
        raise ValueError(f"y holds no labels: its values {LACKING[kind]}.")
    return y


def _parts(values: Any) -> Iterator[tuple[Any, str]]:
    """What has one dtype each: the whole, or the columns of a data frame whose dtype is not numeric."""
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
    """Whether a dtype of NumPy, pandas or Polars is one of real numbers."""
    if hasattr(dtype, "categories"):
        return False
    kind = getattr(dtype, "kind", None)
    if kind is None and hasattr(dtype, "is_numeric"):
        return bool(dtype.is_numeric())
    return isinstance(kind, str) and kind in REAL


def _refuse(values: Any, name: str, where: str) -> None:
    """ValueError or TypeError where an array or a column holds anything but real numbers."""
    dtype: Any = getattr(values, "dtype", None)
    if _is_real(dtype):
        return
    if scipy.sparse.issparse(values):
        values = np.hstack(values.data) if values.format == "lil" else values
        values = values.data if isinstance(getattr(values, "data", None), np.ndarray) else values
    elif not isinstance(values, np.ndarray):
        # a categorical column of pandas holds what its categories are
        values = np.asarray(dtype.categories if hasattr(dtype, "ordered") else values)
    kind, dtype = values.dtype.kind, values.dtype
    if kind in REAL:
        return
    if kind == "O":
        kind, dtype = _kind_of_objects(values, name, where), "object"
    if kind:
        lacking = LACKING.get(kind, LACKING["U"])  # "T" are strings, too
        raise ValueError(f"{name} must hold real numbers, but its values{where} {lacking} (dtype {dtype}).")


def _kind_of_objects(values: np.ndarray, name: str, where: str) -> str:
    """The kind of the elements that are refused, "" where there are none; TypeError for what has no kind."""
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
