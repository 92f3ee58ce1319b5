"""The user's arrays as kernels take them: flat, read-only views, so that a kernel compiles once a dtype."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fastbp.plan import NetworkPlan


def flat_view(array, dtype) -> np.ndarray:
    """`array` as a read-only vector of `dtype`; no copy where it is C-contiguous and of that dtype."""
    view = np.ascontiguousarray(array, dtype=dtype).reshape(-1).view()
    view.flags.writeable = False
    return view


NO_INDICES = flat_view([], np.int32)
NO_INDPTR = flat_view([], np.int64)


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
        indices, indptr = flat_view(X.indices, np.int32), flat_view(X.indptr, np.int64)
        return Inputs(flat_view(X.data, network.dtype), indices, indptr, X.shape[0])
    X = np.asarray(X)
    return Inputs(flat_view(X, network.dtype), NO_INDICES, NO_INDPTR, X.shape[0])


def as_weights(sample_weight, network: NetworkPlan) -> np.ndarray:
    """Weights of all rows; empty for none."""
    return flat_view([] if sample_weight is None else sample_weight, network.dtype)
