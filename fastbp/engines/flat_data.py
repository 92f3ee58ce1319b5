"""The user's arrays as kernels take them: flat, read-only views, so that a kernel compiles once a dtype."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastbp.plan.network import NetworkPlan


def flat_view(array, dtype) -> np.ndarray:
    """`array` as a read-only vector of `dtype`; no copy where it is C-contiguous and of that dtype."""
    view = np.ascontiguousarray(array, dtype=dtype).reshape(-1).view()
    view.flags.writeable = False
    return view


ROW_NUMBER = np.uint32
MOST_ROWS = 2**32 - 1
NO_INDICES = flat_view([], np.int32)
NO_INDPTR = flat_view([], np.int64)


@dataclass(frozen=True)
class Inputs:
    """X for kernels.

    Attributes
    ----------
    values : flat vector
    indices, indptr
        Of CSR: indices (int32) and row starts (int64), which are else empty.
    index : uint32
        Numbers of the rows that are meant, in their order; empty for all.
    n_rows : int
        How many are meant.
    """

    values: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    index: np.ndarray
    n_rows: int


def as_inputs(X: Any, network: NetworkPlan, index: np.ndarray | None = None) -> Inputs:
    """View a C-contiguous array or a CSR matrix; anything else is copied into such.

    `index` holds the numbers of the rows that are meant, None for all.
    """
    if isinstance(X, Inputs):
        return X
    indices, indptr = NO_INDICES, NO_INDPTR
    if sp.issparse(X):
        X = X.tocsr()
        indices, indptr, values = flat_view(X.indices, np.int32), flat_view(X.indptr, np.int64), X.data
    else:
        values = X = np.asarray(X)
    chosen = flat_view([] if index is None else index, ROW_NUMBER)
    n_rows = X.shape[0] if index is None else len(index)
    return Inputs(flat_view(values, network.dtype), indices, indptr, chosen, n_rows)


def as_weights(sample_weight, network: NetworkPlan) -> np.ndarray:
    """Weights of all rows; empty for none."""
    return flat_view([] if sample_weight is None else sample_weight, network.dtype)
