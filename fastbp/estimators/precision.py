"""Choice of the dtype, float32 or float64, and conversion of rows to it without intermediate copies.

A new fit computes in the parameter `dtype`; a resumed fit and a fitted model in the dtype of the weights.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse

from fastbp.estimators import frames
from fastbp.estimators.data_kinds import REAL

FLOATS = [np.float64, np.float32]
BLOCK_BYTES = 1 << 20  # of a list that is converted at a time
PREDICTION_BYTES = 1 << 23  # of rows that are cast at a time for predictions
COPIES_OF_FRAMES = 4  # at most, of rows whose columns may hold missing values
TOO_LARGE = "too large for dtype('float32')"  # scikit-learn's words
ADVICE = f"Finite numbers beyond {np.finfo(np.float32).max:.2g} need a fit with dtype='float64'."

Dtypes = Any  # one dtype, or a list of those left unchanged; all others become the first


def of_fit(options: Any, fitted: np.dtype | None) -> Dtypes:
    """Return the dtype of X in a fit; `fitted` is that of the weights that it resumes from, if any.

    A preset's dtype is for new fits only.
    """
    wanted = options.dtype
    if fitted is None:
        return FLOATS if wanted == "auto" else np.dtype(wanted)
    if wanted not in ("auto", fitted.name) and "dtype" not in options.of_preset:
        raise ValueError(
            f"dtype={wanted!r} is not that of the weights that training goes on from, {fitted.name}: set "
            f"dtype={fitted.name!r} or dtype='auto'. Or start a new fit from them, with warm_start=False: "
            "fit(X, y, coefs_init=model.coefs_, intercepts_init=model.intercepts_)."
        )
    return fitted


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Add the argument's name and advice to errors about numbers too large for float32 or any float."""
    try:
        yield
    except OverflowError as error:  # Python's integers and fractions
        raise ValueError(f"{name} contains a number too large for a float: {error}") from error
    except ValueError as error:
        if TOO_LARGE not in str(error) or ADVICE in str(error):
            raise
        raise ValueError(f"{error} {ADVICE}") from error


def too_large(name: str, dtype: np.dtype) -> ValueError:
    """Error for finite numbers of the user that overflow in `dtype`."""
    advice = f" {ADVICE}" if dtype == np.float32 else ""
    return ValueError(f"Input {name} contains a value too large for {dtype}.{advice}")


def cast_list(X: Any, dtype: Dtypes) -> Any:
    """Convert a long list of rows to an array, a block at a time; anything else is unchanged.

    So is a list of anything except rows of real numbers of equal length, which is checked as a whole.
    """
    if not isinstance(X, list | tuple) or isinstance(dtype, list) or not X:
        return X
    try:
        n_rows = max(BLOCK_BYTES // (8 * max(len(X[0]), 1)), 1)
    except TypeError:
        return X
    whole: np.ndarray | None = None
    if n_rows >= len(X):
        return X
    for start in range(0, len(X), n_rows):
        try:
            block = np.asarray(X[start : start + n_rows])
        except ValueError:  # rows of several lengths
            return X
        if block.ndim != 2 or block.dtype.kind not in REAL:
            return X
        if whole is None:
            whole = np.empty((len(X), block.shape[1]), dtype)
        if block.shape[1] != whole.shape[1]:
            return X
        whole[start : start + n_rows] = block
    return whole


def cast_sparse(X: Any, dtype: Dtypes) -> Any:
    """Cast the values of a sparse matrix, sharing the indices; anything else is unchanged."""
    if not scipy.sparse.issparse(X):
        return X
    values, dtypes = getattr(X, "data", None), dtype if isinstance(dtype, list) else [dtype]
    if not isinstance(values, np.ndarray) or values.dtype.kind not in REAL or values.dtype in dtypes:
        return X
    X = copy.copy(X)
    X.data = values.astype(dtypes[0])
    return X


def rows_of_block(X: Any, dtype: np.dtype) -> int | None:
    """Return the number of rows that predictions copy at a time; None if they need no copy or a small one."""
    shape: Any = getattr(X, "shape", ())
    if len(shape) != 2 or not all(isinstance(n, int) for n in shape):
        return None
    rows = max(PREDICTION_BYTES // max(shape[1] * dtype.itemsize, 1), 1)
    if rows >= shape[0]:
        return None
    if type(X) not in (np.ndarray, np.memmap):
        of_frame = frames.rows_of_block(X)
        return None if of_frame is None else max(rows // COPIES_OF_FRAMES, of_frame)
    fits = X.dtype == dtype and X.flags.c_contiguous
    return None if fits or X.dtype.kind not in REAL else rows
