"""Validation of X and y: scikit-learn's own, and the same of arrays that lie on a GPU."""

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
    """As ``validate_data``: X, or (X, y) where y is given.

    An X on the GPU stays there, as an object that the CUDA engine takes; y comes to the host. A large frame
    is copied once, and so is what has to be cast. Kinds of data that hold no real numbers are refused.
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
    """Where blocks of `n_rows` rows begin, and validated copies of them for a fitted estimator."""
    X = real_numbers(X, "X")
    validate_data(estimator, X, reset=False, skip_check_array=True)  # names and number of the features
    for start in range(0, len(X), n_rows):
        check: dict[str, Any] = {"dtype": dtype, "order": "C", "input_name": "X", "estimator": estimator}
        yield start, _block(frames.some_rows(X, start, n_rows), **check)


@precision.explained("X or y")
def _block(rows: Any, **check: Any) -> np.ndarray:
    return canonical(check_array(rows, **check))


def checked_weights(weight: Any, X: Any, dtype: Any, name: str = "sample_weight") -> np.ndarray:
    """The weights of the rows of X: finite, not negative, not all zero; else ValueError by their name."""
    with naming(name), precision.explained(name):
        given = real_numbers(on_host(weight), name)
        weight = _check_sample_weight(given, X, dtype=dtype, ensure_non_negative=True)
        # a number for all rows is not looked at, and weights that are finite may have no finite sum
        if not np.isfinite(weight.sum(dtype=np.float64)):
            if np.isfinite(np.sum(given, dtype=np.float64)):
                raise precision.too_large(name, weight.dtype)
            raise ValueError("the sum of the weights must be finite.")
    return weight


def one_column(y: np.ndarray) -> np.ndarray:
    """A column vector as one dimension, with scikit-learn's warning; anything else as it is."""
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
    """Targets or weights, copied where they lie on the GPU."""
    if not on_gpu(values):
        return values
    return get_engine("cuda").to_host(values)


def canonical(X: Any) -> Any:
    """X as engines want it: C-contiguous, in the machine's byte order; CSR with sorted column indices, each
    once in a row.

    What lies on the GPU is so already.
    """
    if isinstance(X, np.ndarray):
        # a frame's columns may be of the other byte order, which scikit-learn's validation leaves
        return np.ascontiguousarray(X, dtype=X.dtype.newbyteorder("="))
    if scipy.sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()  # sorts, too
        if not np.isfinite(X.data).all():
            raise precision.too_large("X", X.dtype)
    return X
