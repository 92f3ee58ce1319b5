"""Conversion of a data frame to an array, one block of rows at a time.

scikit-learn's validation makes a second copy of a frame if columns differ in dtype, may hold missing values
or are objects: first column by column, then in row order.
"""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

MOST_BLOCKS = 32  # a block and its copy are then a sixteenth of the whole
BLOCK_BYTES = 1 << 20  # below which a block is not worth a call
FEWEST_ROWS = 500  # of a block: each block visits all columns


def rows_of_block(X: Any) -> int | None:
    """Return the number of rows in a block of a frame; None if X is not a frame or is a single block."""
    shape: Any = getattr(X, "shape", ())
    takes_rows = hasattr(X, "iloc") or hasattr(X, "slice")
    if not (takes_rows and hasattr(X, "dtypes") and len(shape) == 2 and isinstance(shape[0], int)):
        return None
    if any(hasattr(dtype, "fill_value") for dtype in X.dtypes):  # sparse columns, of pandas
        return None
    n_rows, n_columns = shape
    of_block = BLOCK_BYTES // max(8 * n_columns, 1)
    rows = max(-(-n_rows // MOST_BLOCKS), of_block, FEWEST_ROWS)
    return rows if rows < n_rows else None


def some_rows(X: Any, start: int, n_rows: int) -> Any:
    """Return `n_rows` rows of a frame or an array, from `start` on."""
    if hasattr(X, "iloc"):
        return X.iloc[start : start + n_rows]
    return X.slice(start, n_rows) if hasattr(X, "slice") else X[start : start + n_rows]


def array_of(X: Any, n_rows: int, **check: Any) -> np.ndarray:
    """Return the C-contiguous array of ``check_array(X, **check)`` for a frame, in blocks of `n_rows`."""
    whole: np.ndarray | None = None
    for start in range(0, X.shape[0], n_rows):
        block = check_array(some_rows(X, start, n_rows), order="C", **check)
        if whole is None:
            whole = np.empty(X.shape, block.dtype.newbyteorder("="))
        whole[start : start + n_rows] = block
    assert whole is not None, "a frame of several blocks has rows"
    return whole
