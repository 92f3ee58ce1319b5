"""Validation of X and y: scikit-learn's own, and its equivalent for arrays on a GPU."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from fastbp.engines.select import get_engine, on_gpu
from fastbp.estimators import frames, precision
from fastbp.estimators.data_kinds import labels, real_numbers
from fastbp.estimators.parameter_checks import naming
from fastbp.training.call_stack import warn


@precision.explained("X or y")
def validated(estimator: Any, X: Any, y: Any = "no_validation", *, reset: bool, **check: Any) -> Any:
    """Validate like ``validate_data``; return X, or (X, y) if y is given.

    An X on the GPU stays there, as an object that the CUDA engine accepts; y is copied to the host. A large
    frame, or data that has to be cast, is copied only once. Kinds of data other than real numbers are
    refused.
    """
    X, y = real_numbers(precision.cast_list(X, check["dtype"]), "X"), on_host(y)
    X = precision.cast_sparse(X, check["dtype"])
    if not isinstance(y, str):
        y = real_numbers(y, "y") if check.get("y_numeric", False) else labels(y)
    of_block = None if on_gpu(X) else frames.rows_of_block(X)
    if on_gpu(X):
        X = get_engine(estimator.device, X).rows_of(X, check["dtype"])
    elif of_block is None:
        return validate_data(estimator, X, y, reset=reset, **check)
    validate_data(estimator, X, y, reset=reset, skip_check_array=True)  # names and number of the features
    if of_block is not None:
        X = frames.array_of(X, of_block, dtype=check["dtype"], input_name="X", estimator=estimator)
    if isinstance(y, str):
        return X
    y = _check_y(y, check["multi_output"], check.get("y_numeric", False), estimator)
    check_consistent_length(X, y)
    return X, y


def blocks_of(estimator: Any, X: Any, n_rows: int, dtype: Any) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the start of each block of `n_rows` rows and a validated copy of it, for a fitted estimator."""
    X = real_numbers(X, "X")
    validate_data(estimator, X, reset=False, skip_check_array=True)  # names and number of the features
    for start in range(0, len(X), n_rows):
        check: dict[str, Any] = {"dtype": dtype, "order": "C", "input_name": "X", "estimator": estimator}
        yield start, _block(frames.some_rows(X, start, n_rows), **check)


@precision.explained("X or y")
def _block(rows: Any, **check: Any) -> np.ndarray:
    return canonical(check_array(rows, **check))


def checked_weights(weight: Any, X: Any, dtype: Any, name: str = "sample_weight") -> np.ndarray:
    """Return the weights of the rows of X: finite, non-negative, not all zero; else raise ValueError."""
    with naming(name), precision.explained(name):
        given = real_numbers(on_host(weight), name)
        weight = _check_sample_weight(given, X, dtype=dtype, ensure_non_negative=True)
        # scikit-learn does not check a scalar, and the sum of finite weights may overflow
        if not np.isfinite(weight.sum(dtype=np.float64)):
            if np.isfinite(np.sum(given, dtype=np.float64)):
                raise precision.too_large(name, weight.dtype)
            raise ValueError("the sum of the weights must be finite.")
    return weight


def one_column(y: np.ndarray) -> np.ndarray:
    """Return a column vector as a 1d array, with scikit-learn's warning; anything else unchanged."""
    if y.ndim != 2 or y.shape[1] != 1:
        return y
    column = column_or_1d(y)
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
        "(n_samples,), for example using ravel().",
        DataConversionWarning,
    )
    return column


def on_host(values: Any) -> Any:
    """Return targets or weights on the host, copied if they are on the GPU."""
    if not on_gpu(values):
        return values
    return get_engine("cuda").to_host(values)


def canonical(X: Any) -> Any:
    """Return X as engines need it: C-contiguous in native byte order, or CSR in canonical format.

    Arrays on the GPU are so already.
    """
    if isinstance(X, np.ndarray):
        # scikit-learn's validation keeps a foreign byte order of a frame's columns
        return np.ascontiguousarray(X, dtype=X.dtype.newbyteorder("="))
    if scipy.sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()  # also sorts
        if not np.isfinite(X.data).all():
            raise precision.too_large("X", X.dtype)
    return X
