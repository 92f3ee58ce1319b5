"""Validation rows on another scale than the training rows: a Pipeline that scales X, but not `X_val`.

Samples of both are compared column by column, for sparse rows only stored values. Proper splits differ, too:
by outliers, by drift, by columns that hardly vary. So most values must be far outside.
"""

from typing import Any

import numpy as np
import scipy.sparse

from fastbp.engines.dataset import Dataset
from fastbp.training.call_stack import warn

MOST_ROWS, MOST_COLUMNS = 1000, 256  # of a sample, spread evenly
FEWEST_TRAINING_ROWS, FEWEST_ROWS, FEWEST_VALUES = 20, 5, 20  # needed to judge a scale
OUTSIDE = 0.2  # mean distance from the range of the training rows, in units of its width, each at most 1
DEVIATIONS = 3.3  # root mean square of the standardised values, each at most FARTHEST
FARTHEST = 10.0  # in one column, of most values: widths outside the range
SHRUNK = np.log(0.01)  # mean logarithm of absolute values, relative to the training rows

MESSAGE = (
    "X_val lies on another scale than X, so that its score says little. In a pipeline the steps before the "
    'network transform X alone, unless they are told to: Pipeline(steps, transform_input=["X_val"]), with '
    "sklearn.set_config(enable_metadata_routing=True) and set_fit_request(X_val=True, y_val=True) of the "
    "network. Otherwise transform X_val like X."
)


def warn_of_another_scale(rows: Dataset, held_out: Dataset) -> None:
    """Warn if the validation rows are far off the scale of the training rows."""
    if all(isinstance(part.X, np.ndarray) or scipy.sparse.issparse(part.X) for part in (rows, held_out)):
        with np.errstate(all="ignore"):  # the largest numbers overflow, without a warning
            if _are_off(rows, held_out):
                warn(MESSAGE)


def _are_off(rows: Dataset, held_out: Dataset) -> bool:
    numbers, numbers_val = _evenly(_counted(rows), MOST_ROWS), _evenly(_counted(held_out), MOST_ROWS)
    if len(numbers) < FEWEST_TRAINING_ROWS or len(numbers_val) < FEWEST_ROWS:
        return False
    train, val = rows.X[numbers], held_out.X[numbers_val]
    columns = np.arange(train.shape[1])
    if scipy.sparse.issparse(train):
        columns = columns[np.bincount(train.indices, minlength=len(columns)) >= FEWEST_TRAINING_ROWS]
    columns = _evenly(columns, MOST_COLUMNS)
    train, val = _stored(train, columns), _stored(val, columns)
    low, high = np.nanmin(train, axis=0, initial=np.inf), np.nanmax(train, axis=0, initial=-np.inf)
    varies = high > low
    train, val, low, high = train[:, varies], val[:, varies], low[varies], high[varies]
    present = ~np.isnan(val)
    if np.count_nonzero(present) < FEWEST_VALUES:
        return False

    outside = np.maximum(np.maximum(low - val, val - high), 0) / (high - low)
    far = np.count_nonzero(outside > FARTHEST, axis=0)
    if (2 * far >= np.maximum(np.count_nonzero(present, axis=0), 2 * FEWEST_ROWS - 1)).any():
        return True
    deviations = np.abs(val - np.nanmean(train, axis=0)) / np.nanstd(train, axis=0)
    deviations = deviations[~np.isnan(deviations)]  # NaN if squares overflow
    square = (np.minimum(deviations, FARTHEST) ** 2).mean() if len(deviations) else 0.0
    if np.nanmean(np.minimum(outside, 1)) >= OUTSIDE and square >= DEVIATIONS**2:
        return True
    size, size_val = (np.log(np.where(part == 0, np.nan, np.abs(part))) for part in (train, val))
    shrunk = (size_val - np.nanmean(size, axis=0))[~np.isnan(size_val)]
    return len(shrunk) >= FEWEST_VALUES and bool(shrunk.mean() <= SHRUNK)


def _counted(rows: Dataset) -> np.ndarray:
    """Indices of the rows with nonzero weight."""
    return np.arange(len(rows.targets)) if rows.sample_weight is None else np.flatnonzero(rows.sample_weight)


def _evenly(numbers: np.ndarray, most: int) -> np.ndarray:
    if len(numbers) <= most:
        return numbers
    return numbers[np.linspace(0, len(numbers) - 1, most).astype(np.intp)]


def _stored(X: Any, columns: np.ndarray) -> np.ndarray:
    """Some columns as float64; NaN where a sparse matrix stores nothing."""
    if not scipy.sparse.issparse(X):
        return X[:, columns].astype(np.float64)
    part = X[:, columns].tocoo()
    values = np.full(part.shape, np.nan)
    values[part.row, part.col] = part.data
    return values
