"""The user's arrays as kernels take them: flat, read-only views, so that a kernel compiles once a dtype."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fastbp.plan import NetworkPlan

NO_INDICES = np.empty(0, np.int32)
NO_INDPTR = np.empty(0, np.int64)


def flat_view(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`array` as a read-only vector of `dtype`; no copy where it is C-contiguous and of that dtype."""
    view = np.ascontiguousarray(array, dtype=dtype).reshape(-1).view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Inputs:
    """X for kernels: values, and for CSR the indices (int32) and row starts (int64), which are else empty."""

    values: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_rows: int


def as_inputs(X, network: NetworkPlan) -> Inputs:
    """View a C-contiguous array or a CSR matrix; anything else is copied into such."""
    if sp.issparse(X):
        X = X.tocsr()
        indices, indptr = flat_view(X.indices, np.dtype(np.int32)), flat_view(X.indptr, np.dtype(np.int64))
        return Inputs(flat_view(X.data, network.dtype), indices, indptr, X.shape[0])
    X = np.asarray(X)
    indices, indptr = flat_view(NO_INDICES, np.dtype(np.int32)), flat_view(NO_INDPTR, np.dtype(np.int64))
    return Inputs(flat_view(X, network.dtype), indices, indptr, X.shape[0])


def as_weights(sample_weight, network: NetworkPlan) -> np.ndarray:
    """Weights of all rows; empty for none."""
    return flat_view(np.empty(0) if sample_weight is None else sample_weight, network.dtype)
