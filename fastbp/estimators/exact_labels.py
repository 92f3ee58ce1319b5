"""Exact comparison of labels in arrays of any dtype.

NumPy compares int64 with uint64, and integers with floats, as float64: different labels beyond 2^53 may then
compare equal; it compares numbers and strings as strings. Python compares the values themselves.
"""

from numbers import Number
from typing import Any

import numpy as np

INTEGERS = "biu"  # kinds of dtypes


def label_array(y: Any) -> Any:
    """Return labels in an array that holds their exact values; anything else unchanged.

    NumPy converts lists of large integers to floats, scikit-learn does so with nullable integers of pandas.
    Integers without a common dtype stay Python integers in an object array. Strings of NumPy's variable-width
    dtype, which scikit-learn does not support, become objects.
    """
    if isinstance(y, list | tuple):
        return _of_list(y)
    if isinstance(y, np.ndarray):
        return _of_array(y)
    return _of_frame(y)


def holds_integers(y: Any) -> bool:
    """Return whether `y` is a column of objects that are all integers."""
    return (
        isinstance(y, np.ndarray)
        and y.dtype == object
        and y.ndim == 1
        and len(y) > 0
        and all(_is_integer(value) for value in y)
    )


def positions(labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the position of each label among the known ones, which are distinct; -1 if it is not there.

    Parameters
    ----------
    labels : ndarray of shape (n,)
    known : ndarray of shape (n_known,)

    Returns
    -------
    ndarray of intp of shape (n,)
    """
    if len(known) and compares_exactly(labels.dtype, known.dtype):
        order = np.argsort(known)
        ascending = known[order]
        at = np.minimum(np.searchsorted(ascending, labels), len(known) - 1)
        return np.where(ascending[at] == labels, order[at], -1)
    if labels.dtype.kind in "mM" or known.dtype.kind in "mM":
        return np.full(len(labels), -1)  # `tolist` would turn some into plain integers
    place = {value: index for index, value in enumerate(plain_values(known))}
    return np.array([place.get(value, -1) for value in plain_values(labels)], dtype=np.intp)


def compares_exactly(first: np.dtype, second: np.dtype) -> bool:
    """Return whether NumPy compares two dtypes without changing a value."""
    if first.kind in INTEGERS and second.kind in INTEGERS:
        return np.result_type(first, second).kind in INTEGERS
    return first.kind == second.kind == "U" or (first == second and first.kind != "O")


def plain_values(labels: np.ndarray) -> list:
    """Return the values as Python objects, which compare exactly."""
    values = labels.tolist()
    if labels.dtype == object:
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
    elif labels.dtype.kind == "f" and labels.dtype.itemsize > 8:
        # Python hashes long doubles by their float64 value, and finds equal values by the hash
        values = [int(value) if value.is_integer() else value for value in values]
    return values


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _of_list(y: list | tuple) -> Any:
    if any(isinstance(value, str) for value in y) and any(isinstance(value, Number) for value in y):
        raise ValueError("Labels must be all numbers or all strings; y or classes is a list with both.")
    if y and all(isinstance(row, list | tuple) and len(row) == 1 for row in y):
        return np.asarray(_of_list([row[0] for row in y])).reshape(-1, 1)
    if y and all(_is_integer(value) for value in y):
        return _of_integers(y)
    beyond_floats = any(_is_integer(value) and abs(int(value)) > 2**53 for value in y)
    return _of_integers(y) if beyond_floats and all(_is_whole(value) for value in y) else y


def _is_whole(value: Any) -> bool:
    """Return whether a number of any type equals an integer."""
    if isinstance(value, float | np.floating):
        return value.is_integer()
    return isinstance(value, int | np.integer | np.bool_)


def _of_array(y: np.ndarray) -> np.ndarray:
    if y.dtype.kind == "T":
        return y.astype(object)
    column = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    return _of_integers(column.tolist()).reshape(y.shape) if holds_integers(column) else y


def _of_integers(values: list | tuple) -> np.ndarray:
    integers = [int(value) for value in values]
    for dtype in (np.int64, np.uint64):
        limits = np.iinfo(dtype)
        if limits.min <= min(integers) and max(integers) <= limits.max:
            return np.array(integers, dtype=dtype)
    return np.array(integers, dtype=object)


def _of_frame(y: Any) -> Any:
    """Convert a pandas series or frame of objects, or of nullable integers without missing values."""
    dtypes = list(getattr(y, "dtypes", ())) if getattr(y, "ndim", 1) == 2 else [getattr(y, "dtype", None)]
    if len(dtypes) == 1 and isinstance(dtypes[0], np.dtype) and dtypes[0].kind == "O":
        values = np.asarray(y)
        exact = _of_array(values)
        return y if exact is values else exact
    nullable = [getattr(dtype, "numpy_dtype", None) for dtype in dtypes]
    if not (nullable and all(isinstance(own, np.dtype) and own.kind in INTEGERS for own in nullable)):
        return y
    common = np.result_type(*nullable)
    if common.kind not in INTEGERS or np.asarray(y.isna()).any():
        return y
    return y.to_numpy(dtype=common)
